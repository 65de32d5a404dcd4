-- What scanUpload reads, of track_uploads or what a statement has changed of it.
id, seq, track_id, user_id, {{upload_state}}, coalesce(reason, ''), coalesce(detail, ''), method, backend, storage_key,
	coalesce(multipart_id, ''), coalesce(part_size, 0), coalesce(size, 0), max_size, format, content_type,
	coalesce(checksum_algorithm, ''), coalesce(checksum_value, ''),
	coalesce(sent_checksum_algorithm, ''), coalesce(sent_checksum_value, ''), coalesce(storage_version_id, ''),
	created_at, expires_at, coalesce(finished_at, '0001-01-01 00:00:00Z')

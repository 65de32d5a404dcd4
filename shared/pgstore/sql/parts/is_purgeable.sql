-- Whether nothing speaks against removing the local copy of track t, as far as the track
-- itself is concerned. A rollback that has begun has made the state of m 'leased'.
m.state = 'migrated' AND m.direction = 'to_s3' AND m.purged_at IS NULL AND m.file_version = t.file_version
	AND t.storage_backend = 's3' AND t.storage_key = m.storage_key AND t.deleted_at IS NULL AND t.file_path <> ''

-- Notes the checksum that a user names once a file is sent, so that whoever looks at the
-- bytes first compares it: this call, the event, or the sweep. What is settled stays.
UPDATE track_uploads SET sent_checksum_algorithm = $3, sent_checksum_value = $4
WHERE id = $1 AND user_id = $2 AND state IN ('pending', 'expired')

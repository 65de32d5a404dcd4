-- Whether the bytes of a note may be removed at this moment: the note is as it was ($2), and still
-- marked, by whoever looked last. Nothing is made to name bytes whose note is marked; once they are
-- gone, or a grace is over since, they may be written anew. Whoever was stopped since its mark for
-- so long finds out here, by the database's clock.
SELECT EXISTS (
	SELECT FROM track_discards
	WHERE id = $1 AND discarded_at = $2 AND gone_at IS NULL
		AND removed_at > now() - greatest($3::interval, interval '1 hour'))

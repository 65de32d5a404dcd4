-- The record of track t, as m. OFFSET 0 keeps the planner from reading track_migrations from its beginning for each page.
LATERAL (SELECT * FROM track_migrations WHERE track_id = t.id OFFSET 0) AS m

-- In the models: artist = ForeignKey(…, db_column='creator_id'), audio = FileField(db_column='file_path'); the columns that the
-- application fills in get a default of the database's (db_default).
ALTER TABLE music_track RENAME COLUMN artist_id TO creator_id;
ALTER TABLE music_track RENAME COLUMN audio TO file_path;
ALTER TABLE music_track ALTER COLUMN title TYPE varchar(255);
ALTER TABLE music_track ALTER COLUMN slug SET DEFAULT gen_random_uuid()::text;
ALTER TABLE music_track ALTER COLUMN plays SET DEFAULT 0;
ALTER TABLE music_track ALTER COLUMN published SET DEFAULT false;
ALTER TABLE music_track ALTER COLUMN created SET DEFAULT now();

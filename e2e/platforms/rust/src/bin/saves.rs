//! A platform's program that knows nothing of trackstore: it loads rows, counts a play in each, and saves them whole, as
//! Diesel's `save_changes` does, for ROUNDS rounds and for as long as tracks lie in both places.

use std::{env, error::Error, thread, time::Duration};

use diesel::{pg::PgConnection, prelude::*};
use time::OffsetDateTime;
use uuid::Uuid;

diesel::table! {
    tracks (id) {
        id -> Uuid,
        creator_id -> Uuid,
        title -> Varchar,
        genre -> Nullable<Varchar>,
        file_path -> Varchar,
        file_size -> Int8,
        format -> Nullable<Varchar>,
        duration_ms -> Nullable<Int8>,
        status -> Varchar,
        play_count -> Int8,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
        content_type -> Nullable<Varchar>,
        storage_backend -> Varchar,
        storage_key -> Nullable<Varchar>,
        storage_version_id -> Nullable<Text>,
        storage_bucket -> Nullable<Varchar>,
        file_version -> Int8,
        upload_seq -> Int8,
    }
}

/// A row of the platform's table, all of it.
#[derive(Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = tracks, treat_none_as_null = true)]
struct Track {
    id: Uuid,
    creator_id: Uuid,
    title: String,
    genre: Option<String>,
    file_path: String,
    file_size: i64,
    format: Option<String>,
    duration_ms: Option<i64>,
    status: String,
    play_count: i64,
    created_at: Option<OffsetDateTime>,
    updated_at: Option<OffsetDateTime>,
    deleted_at: Option<OffsetDateTime>,
    content_type: Option<String>,
    storage_backend: String,
    storage_key: Option<String>,
    storage_version_id: Option<String>,
    storage_bucket: Option<String>,
    file_version: i64,
    upload_seq: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let least: u64 = env::var("ROUNDS")?.parse()?;
    let mut db = PgConnection::establish(&env::var("DATABASE_URL")?)?;
    let (mut rounds, mut moving) = (0, true);
    while rounds < least || moving {
        let all: Vec<Track> = tracks::table.select(Track::as_select()).load(&mut db)?;
        thread::sleep(Duration::from_millis(10)); // and meanwhile a flip
        for mut track in all {
            track.play_count += 1;
            track.save_changes::<Track>(&mut db)?;
        }
        let places: i64 = tracks::table
            .select(diesel::dsl::count(tracks::storage_backend).aggregate_distinct())
            .first(&mut db)?;
        moving = places > 1;
        rounds += 1;
    }
    println!("{rounds}");
    Ok(())
}

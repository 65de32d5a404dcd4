"""A platform's program that knows nothing of trackstore: it loads rows, counts a play in each, and writes them back whole, for
ROUNDS rounds and for as long as tracks lie in both places."""

import os
import time

from sqlalchemy import MetaData, create_engine, func, select
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

url = os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg://", 1)
engine = create_engine(url)
metadata = MetaData()
metadata.reflect(engine, only=["tracks"])
base = automap_base(metadata=metadata)
base.prepare()
Track = base.classes.tracks

rounds, moving = 0, True
while rounds < int(os.environ["ROUNDS"]) or moving:
    with Session(engine) as session:
        tracks = session.scalars(select(Track)).all()
        session.expunge_all()
    time.sleep(0.01)  # and meanwhile a flip
    for track in tracks:
        track.play_count += 1
        with Session(engine) as session:
            session.add(track)
            for column in Track.__table__.columns.keys():
                if column != "id":
                    flag_modified(track, column)
            session.commit()
    with Session(engine) as session:
        places = session.scalar(select(func.count(Track.storage_backend.distinct())))
    moving = places > 1
    rounds += 1
print(rounds)

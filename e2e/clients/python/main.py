"""Uploads a file, waits for nothing, and writes what is played of it to standard output."""

import base64
import hashlib
import os
import sys
from pathlib import Path

import httpx
from api import AuthenticatedClient
from api.api.tracks import get_audio
from api.api.uploads import complete_upload, open_upload
from api.models import (
    Algorithm,
    Checksum,
    Method,
    OpenedUpload,
    OpenUpload,
    Playable,
    Problem,
    ProblemCode,
    SignedPut,
    State,
    Upload,
)


def main(path: Path) -> None:
    """Takes the file's path; the server and the token come from the environment."""
    client = AuthenticatedClient(base_url=os.environ["TRACKSTORE_URL"], token=os.environ["TRACKSTORE_TOKEN"])
    content = path.read_bytes()
    checksum = Checksum(algorithm=Algorithm.SHA256, value=base64.b64encode(hashlib.sha256(content).digest()).decode())

    refused = open_upload.sync(client=client, body=OpenUpload(title="Nocturne", filename="song.exe", size=1))
    assert isinstance(refused, Problem) and refused.code is ProblemCode.UNSUPPORTED_MEDIA_TYPE, refused

    opened = open_upload.sync(
        client=client,
        body=OpenUpload(title="Nocturne", filename=path.name, size=len(content), checksum=checksum, method=Method.PUT),
        idempotency_key="a-key",
    )
    assert isinstance(opened, OpenedUpload), opened
    assert isinstance(opened.put, SignedPut), opened
    httpx.put(opened.put.url, headers=opened.put.headers.additional_properties, content=content).raise_for_status()

    upload = complete_upload.sync(str(opened.upload_id), client=client)
    assert isinstance(upload, Upload) and upload.state is State.STORED and upload.reason is None, upload

    playable = get_audio.sync(str(upload.track_id), client=client, redirect="0")
    assert isinstance(playable, Playable) and playable.size == len(content), playable
    sys.stdout.buffer.write(httpx.get(playable.url).raise_for_status().content)


main(Path(sys.argv[1]))

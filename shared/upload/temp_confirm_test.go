package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"

	"trackstore/shared/track"
	"trackstore/shared/upload"
)

type stored interface {
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

type temp struct {
	s *stage
	b stored
	n string
}

func confirmer(s *stage, b stored, name string) upload.Confirmer { return temp{s, b, name} }

func (c temp) Confirm(ctx context.Context, ids ...track.ID) (out []track.Upload, err error) {
	for _, id := range ids {
		var user track.ID
		if err := c.s.db.QueryRow(ctx, "select user_id from track_uploads where id=$1", id).Scan(&user); err != nil {
			return nil, err
		}
		u, err := c.s.store.Upload(ctx, user, id)
		if err != nil {
			return nil, err
		}
		if u.State == track.UploadPending {
			o, err := c.b.Head(ctx, u.Key, "")
			if err != nil && !errors.Is(err, track.ErrNotFound) {
				return nil, err
			}
			if err == nil {
				r, err := c.b.Open(ctx, u.Key, "", 0, 4)
				if err != nil {
					return nil, err
				}
				head, _ := io.ReadAll(r)
				r.Close()
				switch {
				case u.Size != 0 && o.Size != u.Size:
					_, err = c.s.db.Exec(ctx, "update track_uploads set state='failed', reason='size_mismatch', finished_at=now() where id=$1", id)
				case !bytes.HasPrefix(head, []byte("RIFF")) && u.Format == track.WAV:
					_, err = c.s.db.Exec(ctx, "update track_uploads set state='failed', reason='not_audio', finished_at=now() where id=$1", id)
				default:
					_, err = c.s.db.Exec(ctx, "update track_uploads set state='stored', finished_at=now() where id=$1", id)
					if err == nil && c.n == track.S3 {
						_, err = c.s.db.Exec(ctx, "update tracks set status='ready', storage_backend='s3', storage_key=$2, file_size=$3, format=$4, content_type=$5, file_path='', file_version=file_version+1 where id=$1", u.TrackID, u.Key, o.Size, u.Format, u.ContentType)
					} else if err == nil {
						_, err = c.s.db.Exec(ctx, "update tracks set status='ready', file_path=$2, file_size=$3, format=$4, content_type=$5, file_version=file_version+1 where id=$1", u.TrackID, u.Key, o.Size, u.Format, u.ContentType)
					}
				}
				if err != nil {
					return nil, err
				}
			}
			if u, err = c.s.store.Upload(ctx, user, id); err != nil {
				return nil, err
			}
		}
		out = append(out, u)
	}
	return out, nil
}

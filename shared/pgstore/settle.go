package pgstore

import (
	"strings"

	"trackstore/shared/track"
)

// settlement is an outcome as settle_to_s3 and settle_to_local read it.
type settlement struct {
	Number      int                  `json:"number"`
	TrackID     track.ID             `json:"track_id"`
	Token       track.ID             `json:"token"`
	FileVersion int64                `json:"file_version"`
	FilePath    string               `json:"file_path"`
	Key         string               `json:"storage_key"` // that the row names now; empty: it is local
	Attempts    int                  `json:"attempts"`
	State       track.MigrationState `json:"state"`
	NewKey      *string              `json:"new_key"`
	NewVersion  *string              `json:"new_version"`
	NewPath     *string              `json:"new_path"`
	Aliases     []string             `json:"aliases"`
	NewSize     *int64               `json:"new_size"`
	NewChecksum *string              `json:"new_checksum"`
	Format      *string              `json:"format"`
	ContentType *string              `json:"content_type"`
	Error       *string              `json:"error"`
}

func settlements(outcomes []track.Outcome) []settlement {
	all := make([]settlement, len(outcomes))
	for i, o := range outcomes {
		s := settlement{
			Number: i, TrackID: o.TrackID, Token: o.Token, FileVersion: o.FileVersion, FilePath: o.FilePath, Key: o.Key(),
			Attempts: o.Attempts, State: o.Result.State(),
		}
		switch r := o.Result.(type) {
		case track.NewObject:
			s.NewKey, s.NewVersion = &r.Key, orNull(r.VersionID)
			s.Format, s.ContentType = orNull(string(r.Format)), orNull(r.ContentType)
			s.digest(r.Digest)
		case track.NewFile:
			s.NewPath, s.Aliases = &r.Path, append(r.Aliases, r.Path)
			s.digest(r.Digest)
		case track.Failure:
			s.Error = orNull(storable(r.Err.Error()))
		}
		all[i] = s
	}
	return all
}

func (s *settlement) digest(d track.Digest) {
	checksum := d.Hex()
	s.NewSize, s.NewChecksum = &d.Size, &checksum
}

// storable cuts out of an error's text what Postgres does not take.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

package places

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"trackstore/shared/diskstore"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// Meant says what an operator has said of places that are other ones than before.
type Meant struct {
	NewRoot   bool // the root folder is meant to be another one from now on
	NewBucket bool // the bucket is
	LookOnly  bool // nothing is recorded or marked: the program changes nothing
}

// identity knows who the root and the bucket are. A place is recorded, and marked with an id,
// when trackstore first works with it; from then on one that bears another id, or none, is
// another place, and track.ErrPlace is all that it is good for (R7).
//
// The record comes first and the mark after it, of the same id. So of several programs that
// begin at once all write the same mark, and a crash in between leaves a record without a
// mark, which the next program makes good.
type identity struct {
	newRoot, newBucket atomic.Bool // of Meant, until they are done
	lookOnly           bool

	database *pgstore.Store
	disk     *diskstore.Store // proves nothing itself
	bucket   *s3store.Store   // nil: S3 is not enabled
	log      *slog.Logger
}

// proveRoot tells whether the root folder is the one of the database, and returns the id that it
// bears by then; the zero ID where it cannot be marked.
func (i *identity) proveRoot(ctx context.Context) (track.ID, error) {
	bears, err := i.disk.ID()
	if err != nil {
		return bears, err
	}
	is := i.asFound(track.Root, i.disk.Root(), bears)
	isMeant := i.newRoot.Load()
	if isMeant {
		if err := i.replace(ctx, is, &i.newRoot); err != nil || i.lookOnly {
			return bears, err
		}
	}
	was, err := i.database.Place(ctx, track.Root)
	if errors.Is(err, track.ErrNotFound) {
		if err := i.holdsTracks(ctx); err != nil || i.lookOnly {
			return bears, err
		}
		was, err = i.database.RecordPlace(ctx, is)
	}
	if err != nil {
		return bears, err
	}
	if was.IsMarked {
		if bears, err = i.disk.ID(); err != nil { // after the record was read: another program may have marked it before
			return bears, err
		}
		if was.ID != bears {
			return bears, i.another(was, bears, "is the volume mounted?", "--new-root")
		}
		return bears, i.note(ctx, was, i.asFound(track.Root, i.disk.Root(), bears))
	}
	if !isMeant {
		// Known by its files alone, until it bears its id.
		if err := i.holdsTracks(ctx); err != nil {
			return bears, err
		}
	}
	if bears.IsZero() && !i.lookOnly {
		switch err := i.disk.Mark(was.ID); {
		case err == nil, errors.Is(err, track.ErrExists): // by another program, this moment
			if bears, err = i.disk.ID(); err != nil {
				return bears, err
			}
		case !errors.Is(err, track.ErrPlace) && !errors.Is(err, fs.ErrPermission):
			return bears, err // what cannot be written to is taken as it is
		}
	}
	if bears.IsZero() {
		return bears, nil
	}
	return bears, i.note(ctx, was, i.asFound(track.Root, i.disk.Root(), bears))
}

// asFound describes a place by what it bears; one that bears nothing is to bear a fresh id.
func (i *identity) asFound(kind track.PlaceKind, name string, bears track.ID) track.Place {
	p := track.Place{Kind: kind, ID: bears, Name: name, IsMarked: !bears.IsZero()}
	if !p.IsMarked {
		p.ID = track.NewID()
	}
	return p
}

// holdsTracks tells whether the root folder holds a file that a local track names, or no track
// is local. An empty mount point is never taken for the disk.
func (i *identity) holdsTracks(ctx context.Context) error {
	paths, err := i.database.LocalSample(ctx)
	if err != nil || len(paths) == 0 {
		return err
	}
	for _, path := range paths {
		file, err := i.disk.OpenFile(path)
		switch {
		case err == nil:
			file.Close()
			return nil
		case errors.Is(err, track.ErrUnavailable):
			return err
		case !errors.Is(err, track.ErrNotFound) && !errors.Is(err, track.ErrOutsideRoot):
			return nil // it is there, and cannot be read
		}
	}
	return fmt.Errorf("%w: the root folder %s holds none of %d files that local tracks name, such as %.200q: is the volume mounted? "+
		"Set TRACK_LOCAL_DIR, or give --new-root if these files are gone for good", track.ErrPlace, i.disk.Root(), len(paths), paths[0])
}

// proveBucket tells whether the bucket is the one of the database.
func (i *identity) proveBucket(ctx context.Context) error {
	was, err := i.database.Place(ctx, track.Bucket)
	isRecorded := err == nil
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return err
	}
	bears, err := i.bearsBucket(ctx, was)
	if err != nil {
		return err
	}
	is := i.asFound(track.Bucket, i.bucket.Bucket(), bears)
	switch {
	case i.newBucket.Load():
		// Tracks that name no bucket mean the one of before.
		if isRecorded && !i.lookOnly {
			if err := i.database.NameBuckets(ctx, was.Name); err != nil {
				return err
			}
		}
		if err := i.replace(ctx, is, &i.newBucket); err != nil || i.lookOnly {
			return err
		}
		was, err = i.database.Place(ctx, track.Bucket)
	case !isRecorded && i.lookOnly:
		return nil
	case !isRecorded:
		was, err = i.recordBucket(ctx, is)
	}
	if err != nil {
		return err
	}
	if was.IsMarked && was.ID != bears {
		// Once more, after the record was read: another program may have marked it before.
		if bears, err = i.bearsBucket(ctx, was); err != nil {
			return err
		}
	}
	if was.ID != bears && (was.IsMarked || was.Name != is.Name) {
		return i.another(was, bears, "is AWS_S3_BUCKET right?", "--new-bucket")
	}
	if bears.IsZero() && !i.lookOnly {
		if err := i.bucket.Mark(ctx, was.ID); err != nil && !errors.Is(err, track.ErrExists) {
			return fmt.Errorf("%w: bucket %s cannot be marked, s3:PutObject and s3:GetObject on its object .trackstore/bucket-id are needed: %w",
				track.ErrPlace, i.bucket.Bucket(), err)
		}
		if bears, err = i.bearsBucket(ctx, track.Place{IsMarked: true}); err != nil {
			return err
		}
	}
	if bears.IsZero() {
		return nil
	}
	return i.note(ctx, was, i.asFound(track.Bucket, is.Name, bears))
}

// bearsBucket returns what the bucket bears. Who may not list it hears "forbidden" of an object
// that is not there, as of one that may not be read: it is the latter where was is marked.
func (i *identity) bearsBucket(ctx context.Context, was track.Place) (track.ID, error) {
	bears, err := i.bucket.ID(ctx)
	if errors.Is(err, track.ErrForbidden) {
		if !was.IsMarked {
			return bears, nil
		}
		err = fmt.Errorf("%w: bucket %s may not be asked who it is, s3:GetObject on its object .trackstore/bucket-id is needed: %w",
			track.ErrPlace, i.bucket.Bucket(), err)
	}
	return bears, err
}

// recordBucket records the first bucket, and makes the tracks name it that lie there already:
// for a moment, the rest is for the sweep.
func (i *identity) recordBucket(ctx context.Context, is track.Place) (track.Place, error) {
	recorded, err := i.database.RecordPlace(ctx, is)
	if err != nil || recorded.ID != is.ID {
		return recorded, err
	}
	moment, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := i.database.NameBuckets(moment, is.Name); err != nil && ctx.Err() == nil {
		i.log.Info("not all tracks on S3 name their bucket yet; the sweep goes on with it", "bucket", is.Name, "err", err)
	}
	return recorded, nil
}

// replace records a place as the one that is meant from now on. Only once: what comes to be in
// its place later is not meant.
func (i *identity) replace(ctx context.Context, is track.Place, isMeant *atomic.Bool) error {
	if i.lookOnly {
		return nil
	}
	was, err := i.database.Place(ctx, is.Kind)
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return err
	}
	if was.ID != is.ID {
		i.log.WarnContext(ctx, "another place is recorded", "kind", is.Kind, "name", is.Name, "id", is.ID, "was", was.Name)
		if err := i.database.ReplacePlace(ctx, is); err != nil {
			return err
		}
	}
	isMeant.Store(false)
	return nil
}

// note records what a place turned out to be, where that is not what is recorded.
func (i *identity) note(ctx context.Context, was, is track.Place) error {
	if was == is || i.lookOnly {
		return nil
	}
	return i.database.NotePlace(ctx, was, is)
}

// another is the error of a place that is not the one of the database.
func (i *identity) another(was track.Place, bears track.ID, question, flag string) error {
	name, what, holder := i.disk.Root(), "root folder", "file .trackstore/root-id"
	if was.Kind == track.Bucket {
		name, what, holder = i.bucket.Bucket(), "bucket", "object .trackstore/bucket-id"
	}
	found := "it bears no id"
	if !bears.IsZero() {
		found = "it bears the id " + bears.String()
	}
	return fmt.Errorf("%w: the %s %s is not the one of this database: %s, where %s (%s) is known: %s "+
		"A copy is the same place if it has the %s, too; if it is meant to be another one, give %s",
		track.ErrPlace, what, name, found, was.ID, was.Name, question, holder, flag)
}

package migrate

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

const (
	// partsAtOnce of one file.
	partsAtOnce = 8
	// partAttempts at sending a part, beside those of the SDK.
	partAttempts = 3
	partBackoff  = 200 * time.Millisecond
	// The first reading takes this much of the buffers' budget for each part, in bytes.
	hashBuffer        = 1 << 20
	partsHashedAtOnce = 4
)

// moveLarge reads a file twice: for its checksums, because the key holds that of the whole,
// and to send its parts, straight from the file. S3 checks each part against the first
// reading, and the whole when the parts are put together.
func (u *Upload) moveLarge(ctx context.Context, lease track.Lease, src source) (track.Result, error) {
	plan, err := readParts(ctx, u.buffers, src)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var object track.NewObject
	if err == nil {
		object, err = u.newObject(lease, plan.whole, src)
	}
	if err = src.check(err); err != nil {
		return cannotRead(err)
	}

	// An earlier worker may have died after it had sent everything.
	switch _, err := u.Bucket.Head(ctx, object.Key, ""); {
	case err == nil:
		return u.verified(ctx, object, track.ErrExists)
	case !errors.Is(err, track.ErrNotFound):
		return nil, err
	}
	err = u.sendParts(ctx, specOf(object), src, plan)
	if err != nil && !errors.Is(err, track.ErrExists) {
		if changed := src.check(nil); changed != nil {
			return cannotRead(changed)
		}
		return nil, err
	}
	return u.verified(ctx, object, err)
}

// partPlan is what the first reading finds.
type partPlan struct {
	size  int64    // of every part but the last, bytes
	parts []uint64 // the parts' CRC64NVME
	whole track.Digest
}

// readParts reads a file once, several parts at the same time.
func readParts(ctx context.Context, buffers *buffers, src source) (partPlan, error) {
	total := src.before.Size
	plan := partPlan{size: partSize(total), whole: track.Digest{Size: total}}
	plan.parts = make([]uint64, (total+plan.size-1)/plan.size)
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(partsHashedAtOnce)
	for i := range plan.parts {
		group.Go(func() (err error) {
			plan.parts[i], err = hashPart(reading, buffers, plan.part(i, src))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return plan, err
	}
	for i, part := range plan.parts {
		plan.whole.CRC64NVME = joinCRC(plan.whole.CRC64NVME, part, plan.part(i, src).Size())
	}
	return plan, nil
}

// part returns the piece of a file that part i, counted from 0, is of.
func (p partPlan) part(i int, file io.ReaderAt) *io.SectionReader {
	offset := int64(i) * p.size
	return io.NewSectionReader(file, offset, min(p.size, p.whole.Size-offset))
}

// hashPart reads a piece of a file for its CRC64NVME.
func hashPart(ctx context.Context, buffers *buffers, part *io.SectionReader) (crc uint64, err error) {
	buf, err := buffers.get(ctx, min(hashBuffer, part.Size()))
	if err != nil {
		return 0, err
	}
	defer buf.put()
	for offset := int64(0); offset < part.Size(); offset += buf.size {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		buf.size = min(hashBuffer, part.Size()-offset)
		if crc, err = buf.fill(part, offset, crc); err != nil {
			return 0, err
		}
	}
	return crc, nil
}

// partSize is largestPut, or as much more, in whole MiB, as S3's limit of parts asks for.
func partSize(size int64) int64 {
	const mib = 1 << 20
	least := (size + track.MaxParts - 1) / track.MaxParts
	return max(largestPut, (least+mib-1)/mib*mib)
}

// sendParts sends a file under a key. After an error nothing is left but what the last
// answer was lost of: then the object may be there. A crash leaves a multipart upload,
// which the sweep aborts when it is old.
func (u *Upload) sendParts(ctx context.Context, spec track.ObjectSpec, src source, plan partPlan) error {
	id, err := u.Large.CreateLarge(ctx, spec.Key, spec.ContentType)
	if err != nil {
		return err
	}
	parts := make([]track.Part, len(plan.parts))
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i, sum := range plan.parts {
		group.Go(func() (err error) {
			piece := plan.part(i, u.bandwidth.readerAt(sending, src))
			parts[i], err = u.sendPart(sending, track.NewPart{
				Key: spec.Key, MultipartID: id, Number: int32(i + 1), Digest: track.Digest{Size: piece.Size(), CRC64NVME: sum},
			}, piece)
			return err
		})
	}
	err = group.Wait()
	if err == nil {
		_, err = u.Large.CompleteLarge(ctx, spec, id, parts)
	}
	if err != nil {
		return errors.Join(err, u.abort(ctx, spec.Key, id))
	}
	return nil
}

// abort gives an upload up, also when the run is stopped: its parts are paid for until
// somebody does. A part that was on its way may still have come in after that, hence again.
func (u *Upload) abort(ctx context.Context, key, multipartID string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 6*time.Second)
	defer cancel()
	err := u.Large.AbortMultipart(ctx, key, multipartID)
	for _, later := range []time.Duration{200 * time.Millisecond, time.Second} {
		if pause(ctx, later) == nil {
			err = u.Large.AbortMultipart(ctx, key, multipartID)
		}
	}
	return err
}

// sendPart tries a part several times: a file of many parts is dear to begin anew.
func (u *Upload) sendPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (track.Part, error) {
	for attempt := 1; ; attempt++ {
		part, err := u.Large.PutPart(ctx, spec, body)
		if err == nil || !track.IsRetryable(err) || attempt == partAttempts {
			return part, err
		}
		if pause(ctx, backoff(partBackoff, attempt)) != nil {
			return part, err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return part, err
		}
	}
}

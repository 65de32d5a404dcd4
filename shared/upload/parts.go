package upload

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"trackstore/shared/track"
)

// How many part URLs one answer has: at first, and when asked for.
const (
	firstParts = 100
	mostParts  = 1000
)

// partSize is what a file is cut into: 16 MiB, or for a very large file the next whole
// MiB with which S3's 10,000 parts are enough. A file of unknown size is cut by its
// client, and into parts of S3's least size or more.
func partSize(size int64) int64 {
	const usual, step = 16 << 20, 1 << 20
	if size == 0 {
		return track.MinPartSize
	}
	return max(usual, ceil(ceil(size, track.MaxParts), step)*step)
}

// partCount is the greatest part number that u may have.
func partCount(u track.Upload) int32 {
	size := u.Size
	if size == 0 {
		size = u.MaxSize
	}
	return int32(min(ceil(size, u.PartSize), track.MaxParts))
}

func ceil(n, unit int64) int64 { return (n + unit - 1) / unit }

// multipart tells a client how to cut its file, and where to send the first parts.
type multipart struct {
	PartSize  int64     `json:"part_size"` // bytes; of all but the last
	PartCount int32     `json:"part_count"`
	Parts     []partURL `json:"parts"`
}

// partURL is where to send a part, and the headers to send with it, verbatim.
type partURL struct {
	PartNumber int32 `json:"part_number"`
	track.SignedPut
}

// wantedPart is a part whose URL a client asks for.
type wantedPart struct {
	number   int64
	checksum *track.Checksum // nil: not declared
}

func (a *api) multipart(ctx context.Context, b Backend, u track.Upload) (*multipart, error) {
	m := &multipart{PartSize: u.PartSize, PartCount: partCount(u)}
	first := make([]wantedPart, min(m.PartCount, firstParts))
	for i := range first {
		first[i].number = int64(i) + 1
	}
	var err error
	m.Parts, err = a.sign(ctx, b, u, first)
	return m, err
}

func (a *api) sign(ctx context.Context, b Signer, u track.Upload, wanted []wantedPart) ([]partURL, error) {
	parts := make([]partURL, len(wanted))
	spec := track.PartSpec{Key: u.Key, MultipartID: u.MultipartID, TTL: a.urlLife(u)}
	for i, p := range wanted {
		spec.Number, spec.Size, spec.Checksum = int32(p.number), sizeOfPart(u, p.number), p.checksum
		put, err := b.SignPart(ctx, spec)
		if err != nil {
			return nil, err
		}
		parts[i] = partURL{spec.Number, put}
	}
	return parts, nil
}

// sizeOfPart is how many bytes a part has; 0 where the client cuts a file of unknown size.
func sizeOfPart(u track.Upload, number int64) int64 {
	if u.Size == 0 {
		return 0
	}
	return min(u.PartSize, u.Size-(number-1)*u.PartSize)
}

// signParts is POST /v1/uploads/{upload_id}/parts. It may be called at any time of the
// upload's life, also for parts that were signed before.
func (a *api) signParts(w http.ResponseWriter, r *http.Request, by caller) error {
	body, err := readObject(w, r, maxBody)
	if err != nil {
		return err
	}
	u, err := a.upload(r, by.user)
	if err != nil {
		return err
	}
	wanted, err := decodeWanted(body, u.Checksum.OfParts())
	if err != nil {
		return err
	}
	parts, err := a.partURLs(r.Context(), u, wanted)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string][]partURL{"parts": parts})
}

// decodeWanted reads which parts are to be signed: by their numbers alone, or each with the
// checksum that its URL is to bind.
func decodeWanted(body []byte, algorithm track.Algorithm) ([]wantedPart, error) {
	var numbers, parts []wantedPart
	err := fields{
		"part_numbers": array(mostParts, func(at string, value json.RawMessage) error {
			var n *int64
			err := whole(&n)(at, value)
			if err == nil {
				numbers = append(numbers, wantedPart{number: *n})
			}
			return err
		}),
		"parts": array(mostParts, func(at string, value json.RawMessage) error {
			var n *int64
			var sum *track.Checksum
			err := fields{"part_number": whole(&n), "checksum": checksumBy(algorithm, &sum)}.object(at, value)
			if err == nil && n == nil {
				err = refuse(InvalidRequest, "%s.part_number: is required", at)
			}
			if err == nil {
				parts = append(parts, wantedPart{*n, sum})
			}
			return err
		}),
	}.decode(body)
	switch {
	case err != nil:
		return nil, err
	case numbers == nil && parts == nil:
		return nil, refuse(InvalidRequest, "part_numbers: is required, or parts")
	case numbers != nil && parts != nil:
		return nil, refuse(InvalidRequest, "parts: stands beside part_numbers, which says the same without checksums")
	}
	return append(numbers, parts...), nil
}

// partURLs signs distinct parts of an open multipart upload.
func (a *api) partURLs(ctx context.Context, u track.Upload, wanted []wantedPart) ([]partURL, error) {
	if u.Method != track.MethodMultipart {
		return nil, refuse(InvalidRequest, "the upload's method is %s, which has no parts", u.Method)
	}
	if err := takesBytes(u); err != nil {
		return nil, err
	}
	last := partCount(u)
	seen := make(map[int64]bool, len(wanted))
	for _, p := range wanted {
		switch {
		case p.number < 1 || p.number > int64(last):
			return nil, refuse(InvalidRequest, "part_number: %d is not between 1 and %d", p.number, last)
		case seen[p.number]:
			return nil, refuse(InvalidRequest, "part_number: %d stands there twice", p.number)
		}
		seen[p.number] = true
	}
	b, err := a.backend(u.Backend)
	if err != nil {
		return nil, err
	}
	if u.MultipartID == "" { // the request that opened it has not got so far, or died
		if u, err = a.begin(ctx, u); err != nil {
			return nil, err
		}
	}
	return a.sign(ctx, b, u, wanted)
}

// takesBytes refuses an upload that takes no more.
func takesBytes(u track.Upload) error {
	switch {
	case u.State == track.UploadStored:
		return refuse(AlreadyStored, "the upload is stored")
	case u.State != track.UploadPending:
		return refuse(NotPending, "the upload is %s", u.State)
	case time.Until(u.ExpiresAt) <= 0:
		return refuse(NotPending, "the upload's time was over at %s", u.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return nil
}

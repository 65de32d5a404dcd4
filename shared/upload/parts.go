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

type partURL struct {
	PartNumber int32  `json:"part_number"`
	URL        string `json:"url"`
}

func (a *api) multipart(ctx context.Context, b Backend, u track.Upload) (*multipart, error) {
	m := &multipart{PartSize: u.PartSize, PartCount: partCount(u)}
	numbers := make([]int32, min(m.PartCount, firstParts))
	for i := range numbers {
		numbers[i] = int32(i) + 1
	}
	var err error
	m.Parts, err = a.sign(ctx, b, u, numbers)
	return m, err
}

func (a *api) sign(ctx context.Context, b Signer, u track.Upload, numbers []int32) ([]partURL, error) {
	parts := make([]partURL, len(numbers))
	life := a.urlLife(u)
	for i, n := range numbers {
		url, err := b.SignPart(ctx, u.Key, u.MultipartID, n, life)
		if err != nil {
			return nil, err
		}
		parts[i] = partURL{n, url}
	}
	return parts, nil
}

// signParts is POST /v1/uploads/{upload_id}/parts. It may be called at any time of the
// upload's life, also for parts that were signed before.
func (a *api) signParts(w http.ResponseWriter, r *http.Request, user track.ID) error {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if body == nil {
		return refuse(BadRequest, "the body is empty")
	}
	var numbers []int64
	list := array(mostParts, func(at string, value json.RawMessage) error {
		var n *int64
		if err := whole(&n)(at, value); err != nil {
			return err
		}
		numbers = append(numbers, *n)
		return nil
	})
	if err := (fields{"part_numbers": list}).decode(body); err != nil {
		return err
	}
	if numbers == nil {
		return refuse(InvalidRequest, "part_numbers: is required")
	}
	u, err := a.upload(r, user)
	if err != nil {
		return err
	}
	parts, err := a.partURLs(r.Context(), u, numbers)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string][]partURL{"parts": parts})
}

// partURLs signs distinct parts of an open multipart upload.
func (a *api) partURLs(ctx context.Context, u track.Upload, numbers []int64) ([]partURL, error) {
	if u.Method != track.MethodMultipart {
		return nil, refuse(InvalidRequest, "the upload's method is %s, which has no parts", u.Method)
	}
	if err := takesBytes(u); err != nil {
		return nil, err
	}
	last := partCount(u)
	seen := make(map[int64]bool, len(numbers))
	wanted := make([]int32, len(numbers))
	for i, n := range numbers {
		switch {
		case n < 1 || n > int64(last):
			return nil, refuse(InvalidRequest, "part_numbers: %d is not between 1 and %d", n, last)
		case seen[n]:
			return nil, refuse(InvalidRequest, "part_numbers: %d stands there twice", n)
		}
		seen[n] = true
		wanted[i] = int32(n)
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

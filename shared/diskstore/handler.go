package diskstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"trackstore/shared/track"
)

// Handler serves what the store signs, below the path of Config.URL:
//
//	PUT  {key}  a file, or a part of one     200, ETag
//	GET  {key}  a file, with Range; or HEAD  200, 206
//	POST        a form with a file           201, XML as S3 has it
//
// Errors are problem+json: 403 for a signature that is wrong or has expired, 400, 411 and
// 413 for what differs from what was signed, 412 where the key is taken. Bytes count only
// when all of them are there; the answer follows when they are on disk. Date, signature and
// headers are judged before the body, those of a form once its fields are there: what began in
// time is not refused for ending late. A body that stands still for StallTime is given up.
func (s *Store) Handler() http.Handler {
	prefix := ""
	if s.cfg.URL != nil {
		prefix = s.cfg.URL.Path
	}
	return Impatient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.allowOrigin(w, r)
		key, below := strings.CutPrefix(r.URL.Path, prefix+"/")
		if !below && r.URL.Path != prefix {
			s.answer(w, r, &refusal{http.StatusNotFound, "not_found", "there is nothing at this path"})
			return
		}
		if err := s.serve(w, r, key); err != nil {
			s.answer(w, r, err)
		}
	}), StallTime)
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request, key string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &refusal{http.StatusBadRequest, "malformed", "the query cannot be read"}
	}
	switch r.Method {
	case http.MethodOptions:
		return preflight(w, r)
	case http.MethodPost:
		return s.post(w, r)
	case http.MethodPut, http.MethodGet, http.MethodHead:
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, POST, OPTIONS")
		return &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "files take GET, HEAD, PUT and POST"}
	}
	if err := s.verify(r.Method, key, query); err != nil {
		return err
	}
	switch {
	case r.Method != http.MethodPut:
		return s.get(w, r, key, query)
	case query.Has(paramPart):
		return s.servePart(w, r, key, query)
	}
	return s.put(w, r, key, query)
}

func (s *Store) get(w http.ResponseWriter, r *http.Request, key string, query url.Values) error {
	f, err := s.open(key)
	if err != nil {
		return failure("get", key, err)
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", describe(key, f.info).ContentType)
	if t := query.Get(paramType); t != "" {
		h.Set("Content-Type", t)
	}
	h.Set("X-Content-Type-Options", "nosniff") // whatever was uploaded is not taken for a page
	if d := query.Get(paramDisposition); d != "" {
		h.Set("Content-Disposition", d)
	}
	id := identity(f.info)
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, id.ModTime, id.Size))
	http.ServeContent(w, r, "", f.info.ModTime(), f)
	return nil
}

// put stores a file. Signed values cannot be malformed.
func (s *Store) put(w http.ResponseWriter, r *http.Request, key string, query url.Values) error {
	size, _ := strconv.ParseInt(query.Get(paramSize), 10, 64)
	if err := checkLength(r.ContentLength, size, size); err != nil {
		return err
	}
	headers := map[string]string{"Content-Type": query.Get(paramType), "If-None-Match": "*"}
	declared := boundChecksum(query, headers)
	if err := checkHeaders(r.Header, headers); err != nil {
		return err
	}
	if s.isTaken(key) {
		// A client that still sends would not read the answer.
		_, _ = io.Copy(io.Discard, r.Body)
		return failure("put", key, track.ErrExists)
	}
	var got received
	err := s.create(key, func(f *os.File) (err error) {
		got, err = receive(f, r.Body, size, size, declared)
		return err
	})
	if err != nil {
		return failure("put", key, cutOff(err))
	}
	s.announce(r.Context(), "Put", key, got)
	w.Header().Set("ETag", strconv.Quote(got.etag))
	return nil
}

// boundChecksum returns the checksum that a URL binds, nil where it binds none, and adds
// the header that goes with it.
func boundChecksum(query url.Values, headers map[string]string) *track.Checksum {
	if !query.Has(paramChecksum) {
		return nil
	}
	c := track.Checksum{Algorithm: track.Algorithm(query.Get(paramAlgorithm)), Value: query.Get(paramChecksum)}
	headers[c.Algorithm.Header()] = c.Value
	return &c
}

func checkHeaders(got http.Header, signed map[string]string) error {
	for name, value := range signed {
		if v := got.Get(name); v != value {
			return &refusal{http.StatusBadRequest, "mismatch", fmt.Sprintf("the header %s is %q, not %q as signed", name, v, value)}
		}
	}
	return nil
}

func (s *Store) servePart(w http.ResponseWriter, r *http.Request, key string, query url.Values) error {
	least, most := int64(0), int64(track.MaxPartSize)
	if query.Has(paramSize) {
		least, _ = strconv.ParseInt(query.Get(paramSize), 10, 64)
		most = least
	}
	if err := checkLength(r.ContentLength, least, most); err != nil {
		return err
	}
	headers := map[string]string{}
	declared := boundChecksum(query, headers)
	if err := checkHeaders(r.Header, headers); err != nil {
		return err
	}
	number, err := strconv.ParseInt(query.Get(paramPart), 10, 32)
	if err != nil || number < 1 || number > track.MaxParts {
		return &refusal{http.StatusBadRequest, "malformed", fmt.Sprintf("parts have numbers from 1 to %d", track.MaxParts)}
	}
	etag, err := s.putPart(track.PartSpec{
		Key: key, MultipartID: query.Get(paramUpload), Number: int32(number), Size: r.ContentLength, Checksum: declared,
	}, r.Body)
	if err != nil {
		return failure("put a part of", key, cutOff(err))
	}
	w.Header().Set("ETag", strconv.Quote(etag))
	return nil
}

// isTaken spares a client from sending what would be refused anyway; nothing relies on it.
func (s *Store) isTaken(key string) bool {
	root, err := s.openRoot()
	if err != nil {
		return false
	}
	defer root.Close()
	_, err = root.Lstat(key)
	return err == nil
}

func checkLength(length, least, most int64) error {
	switch {
	case length < 0:
		return &refusal{http.StatusLengthRequired, "length_required", "a Content-Length is needed"}
	case length > most:
		return &refusal{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body has %d bytes, not %s as signed", length, sizes(least, most))}
	case length < least:
		return &refusal{http.StatusBadRequest, "mismatch", fmt.Sprintf("the body has %d bytes, not %s as signed", length, sizes(least, most))}
	}
	return nil
}

// cutOff tells a body that ended early from a disk that failed.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the body ended early", track.ErrMismatch)
	}
	return err
}

// allowOrigin lets pages of the allowed origins read the answer, and those of any origin a
// file: a browser that an API of another origin sends here calls its page's origin "null".
func (s *Store) allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		origin = "*"
	} else if origin == "" || !slices.Contains(s.cfg.AllowedOrigins, origin) && !slices.Contains(s.cfg.AllowedOrigins, "*") {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Location, Content-Length, Content-Range, Accept-Ranges")
}

// preflight answers a browser that asks before it sends.
func preflight(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") == "" {
		return &refusal{http.StatusForbidden, "origin_not_allowed", "pages of this origin may not use this server"}
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

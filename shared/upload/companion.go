package upload

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"trackstore/shared/track"
)

// A companion session lets Uppy's @uppy/aws-s3 plugin in, which sends no Authorization
// header: its token is part of the URL that the plugin gets. A token is random, and known
// to the database by its hash alone; it opens these endpoints and nothing else.

// Refusals are 400 {"error"} here, for that is what Companion answers; only a bad token
// is 401, and a fault of ours stays what it is.
func writeCompanionError(w http.ResponseWriter, p *problem) {
	status := http.StatusBadRequest
	if p.code == Unauthorized || p.status() >= 500 {
		status = p.status()
	}
	writeJSON(w, status, "application/json", map[string]string{"error": p.detail})
}

// openSession is POST /v1/companion-sessions.
func (a *api) openSession(w http.ResponseWriter, r *http.Request, by caller) error {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	token := base64.RawURLEncoding.EncodeToString(random)
	expires, err := a.Store.OpenSession(r.Context(), sha256.Sum256(random), by.user, a.Limits.TTL)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, struct {
		CompanionURL string    `json:"companion_url"`
		ExpiresAt    time.Time `json:"expires_at"`
	}{a.baseURL(r) + "/u/" + token, expires})
}

// session returns the user whose session the path's token stands for.
func (a *api) session(r *http.Request) (track.ID, error) {
	bad := refuse(Unauthorized, "the session is not known, or over; open another one")
	token, err := base64.RawURLEncoding.Strict().DecodeString(r.PathValue("token"))
	if err != nil || len(token) != 32 {
		return track.ID{}, bad
	}
	user, err := a.Store.SessionUser(r.Context(), sha256.Sum256(token))
	if errors.Is(err, track.ErrNotFound) {
		err = bad
	}
	return user, err
}

// companionFile is what the plugin says of a file.
type companionFile struct {
	filename, contentType string
	name                  string // of its metadata, where the user may have given it another one; it wins
}

// companionTicket makes a ticket of what the plugin says of a file. It says nothing of the
// size, and leaves the type out where the browser does not know it.
func (a *api) companionTicket(user track.ID, method track.Method, file companionFile) (track.Ticket, error) {
	if err := checkText("filename", &file.filename); err != nil {
		return track.Ticket{}, err
	}
	if file.name == "" {
		file.name = file.filename
	}
	if err := checkText("name", &file.name); err != nil {
		return track.Ticket{}, err
	}
	format, err := fileFormat(file.filename, file.contentType)
	if err != nil {
		return track.Ticket{}, err
	}
	var t track.Ticket
	t.UserID = user
	t.TrackID = track.NewTrackID()
	t.Title = titleOf(file.name)
	t.Method = method
	t.MaxSize = a.Limits.MaxBytes
	a.place(&t, file.filename, format)
	return t, nil
}

// titleOf is a file's name without its extension. What stands behind the last dot of a name
// that a person gave ("Nocturne Op.9") need not be one.
func titleOf(name string) string {
	if _, known := track.FormatOfName(name); !known {
		return name
	}
	title := strings.TrimSuffix(name, path.Ext(name))
	if strings.TrimSpace(title) == "" {
		return name
	}
	return title
}

// companionParams is GET /s3/params: one form for one file.
func (a *api) companionParams(w http.ResponseWriter, r *http.Request, by caller) error {
	query := r.URL.Query()
	ticket, err := a.companionTicket(by.user, track.MethodPost, companionFile{query.Get("filename"), query.Get("type"), query.Get("metadata[name]")})
	if err != nil {
		return err
	}
	ticket.MaxSize = min(ticket.MaxSize, track.MaxPutSize)
	u, err := a.open(r, ticket)
	if err != nil {
		return err
	}
	opened, err := a.opened(r.Context(), u)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Method string `json:"method"`
		*track.SignedPost
	}{"POST", opened.Post})
}

// companionCreate is POST /s3/multipart. The id it answers with is the upload's.
func (a *api) companionCreate(w http.ResponseWriter, r *http.Request, by caller) error {
	var file struct {
		Filename string
		Type     string
		Metadata map[string]any
	}
	if err := companionBody(w, r, maxBody, &file); err != nil {
		return err
	}
	name, _ := file.Metadata["name"].(string)
	ticket, err := a.companionTicket(by.user, track.MethodMultipart, companionFile{file.Filename, file.Type, name})
	if err != nil {
		return err
	}
	u, err := a.open(r, ticket)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]string{"uploadId": u.ID.String(), "key": u.Key})
}

// companionBody reads a body as leniently as Companion does: other versions of the
// plugin say more.
func companionBody(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	body, err := readBody(w, r, limit)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return refuse(BadRequest, "the body is not the JSON that this call takes")
	}
	return nil
}

// companionUpload returns the multipart upload that path and key name.
func (a *api) companionUpload(r *http.Request, user track.ID) (track.Upload, error) {
	u, err := a.upload(r, user)
	if err == nil && (u.Method != track.MethodMultipart || r.URL.Query().Get("key") != u.Key) {
		err = track.ErrNotFound
	}
	return u, err
}

// companionPart is a part as S3's own API spells it.
type companionPart struct {
	PartNumber int32
	ETag       string
	Size       int64
}

// companionListParts is GET /s3/multipart/{upload_id}. The plugin skips what is listed, and
// then asks for complete.
func (a *api) companionListParts(w http.ResponseWriter, r *http.Request, by caller) error {
	u, err := a.companionUpload(r, by.user)
	if err != nil {
		return err
	}
	var received []track.Part
	if u.State != track.UploadStored {
		if err := takesBytes(u); err != nil {
			return err
		}
		if received, err = a.receivedParts(r.Context(), u); err != nil {
			return err
		}
	}
	if received == nil {
		// The answer to complete was lost, or its server died. Nothing is to be sent, however
		// the plugin has cut the file, and complete does not care for ETags then.
		received = make([]track.Part, partCount(u))
		for i := range received {
			received[i] = track.Part{Number: int32(i + 1), ETag: u.ID.String()}
		}
	}
	parts := make([]companionPart, len(received))
	for i, p := range received {
		parts[i] = companionPart{p.Number, `"` + p.ETag + `"`, p.Size}
	}
	return answer(w, http.StatusOK, parts)
}

// companionSignPart is GET /s3/multipart/{upload_id}/{part_number}.
func (a *api) companionSignPart(w http.ResponseWriter, r *http.Request, by caller) error {
	parts, err := a.companionSign(r, by.user, r.PathValue("part_number"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]string{"url": parts[0].URL})
}

// companionSignParts is GET /s3/multipart/{upload_id}/batch, which version 5 calls.
func (a *api) companionSignParts(w http.ResponseWriter, r *http.Request, by caller) error {
	parts, err := a.companionSign(r, by.user, r.URL.Query().Get("partNumbers"))
	if err != nil {
		return err
	}
	urls := make(map[int32]string, len(parts))
	for _, p := range parts {
		urls[p.PartNumber] = p.URL
	}
	return answer(w, http.StatusOK, map[string]map[int32]string{"presignedUrls": urls})
}

// companionSign signs the parts of a list with commas.
func (a *api) companionSign(r *http.Request, user track.ID, list string) ([]partURL, error) {
	u, err := a.companionUpload(r, user)
	if err != nil {
		return nil, err
	}
	var wanted []wantedPart
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || len(wanted) == mostParts {
			return nil, refuse(InvalidRequest, "partNumbers: is not a list of up to %d whole numbers", mostParts)
		}
		wanted = append(wanted, wantedPart{number: n})
	}
	return a.partURLs(r.Context(), u, wanted)
}

// companionComplete is POST /s3/multipart/{upload_id}/complete. A file that turns out to
// be no audio is an error here, for the plugin knows no other way to tell its user.
func (a *api) companionComplete(w http.ResponseWriter, r *http.Request, by caller) error {
	var list struct{ Parts []companionPart }
	if err := companionBody(w, r, maxCompleteBody, &list); err != nil {
		return err
	}
	u, err := a.companionUpload(r, by.user)
	if err != nil {
		return err
	}
	if len(list.Parts) == 0 || len(list.Parts) > track.MaxParts {
		return refuse(InvalidParts, "parts: has %d items, and may have 1 to %d", len(list.Parts), track.MaxParts)
	}
	named := make([]track.Part, len(list.Parts))
	for i, p := range list.Parts {
		named[i] = track.Part{Number: p.PartNumber, ETag: trimETag(p.ETag)}
	}
	if u, err = a.complete(r, u, named); err != nil {
		return err
	}
	if u.State == track.UploadFailed {
		return refuse(InvalidRequest, "the file was refused (%s): %s", u.Reason, u.Detail)
	}
	b, err := a.backend(u.Backend)
	if err != nil {
		return err
	}
	location, err := url.JoinPath(a.baseURL(r), "v1/tracks", u.TrackID.String(), "audio")
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]string{"location": location, "key": u.Key, "bucket": b.Bucket()})
}

// companionAbort is DELETE /s3/multipart/{upload_id}.
func (a *api) companionAbort(w http.ResponseWriter, r *http.Request, by caller) error {
	u, err := a.companionUpload(r, by.user)
	if err != nil {
		return err
	}
	if err := a.abort(r, by.user, u.ID); err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct{}{})
}

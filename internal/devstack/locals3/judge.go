package locals3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// S3 looks at date, signature and headers when a request begins, and not again: one that begins
// in time may end an hour later. versitygw looks when the guard hands the request on, which is
// when its body has arrived. So the guard judges before the body, and one that was good then and
// is out of date by now it signs anew. A request that it takes to be bad it does not refuse
// itself: versitygw is asked, without the body.

const (
	algorithm = "AWS4-HMAC-SHA256"
	isoTime   = "20060102T150405Z"
	skew      = 15 * time.Minute // by how much a clock may be wrong
)

// credentials are the server's only ones.
type credentials struct{ accessKey, secretKey, region string }

// signature is what a request says of who signed it, and when.
type signature struct {
	credential, date, signed, value string
	inQuery                         bool
	life                            time.Duration
}

func signatureOf(r *http.Request) (signature, bool) {
	if q := r.URL.Query(); q.Get("X-Amz-Algorithm") == algorithm {
		seconds, _ := strconv.Atoi(q.Get("X-Amz-Expires")) // 0 is over at once
		return signature{
			credential: q.Get("X-Amz-Credential"), date: q.Get("X-Amz-Date"), signed: q.Get("X-Amz-SignedHeaders"),
			value: q.Get("X-Amz-Signature"), inQuery: true, life: time.Duration(seconds) * time.Second,
		}, true
	}
	rest, found := strings.CutPrefix(r.Header.Get("Authorization"), algorithm)
	if !found {
		return signature{}, false
	}
	s := signature{date: r.Header.Get("X-Amz-Date"), life: skew}
	for _, field := range strings.Split(rest, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(field), "="); name {
		case "Credential":
			s.credential = value
		case "SignedHeaders":
			s.signed = value
		case "Signature":
			s.value = value
		}
	}
	return s, true
}

// isInTime reports whether a signature is good at this time, as far as its date goes.
func (s signature) isInTime(now time.Time) bool {
	from, err := time.Parse(isoTime, s.date)
	return err == nil && now.After(from.Add(-skew)) && !now.After(from.Add(s.life))
}

// fits reports whether the signature is that of r by c.
func (c credentials) fits(s signature, r *http.Request) bool {
	scope, mine := strings.CutPrefix(s.credential, c.accessKey+"/")
	return mine && hmac.Equal([]byte(s.value), []byte(c.sign(scope, s.date, canonical(s, r))))
}

// sign returns the signature of what a request says, or with an empty date that of a form's policy.
func (c credentials) sign(scope, date, text string) string {
	if date != "" {
		sum := sha256.Sum256([]byte(text))
		text = strings.Join([]string{algorithm, date, scope, hex.EncodeToString(sum[:])}, "\n")
	}
	key := []byte("AWS4" + c.secretKey)
	for _, word := range append(strings.Split(scope, "/"), text) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(word))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonical is what a signature covers of a request.
func canonical(s signature, r *http.Request) string {
	query := r.URL.Query()
	query.Del("X-Amz-Signature")
	var pairs []string
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, escape(name, "")+"="+escape(value, ""))
		}
	}
	slices.Sort(pairs)
	var headers strings.Builder
	for _, name := range strings.Split(s.signed, ";") {
		value := strings.Join(strings.Fields(strings.Join(r.Header.Values(name), ",")), " ")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = "UNSIGNED-PAYLOAD"
	}
	return strings.Join([]string{r.Method, escape(r.URL.Path, "/"), strings.Join(pairs, "&"), headers.String(), s.signed, payload}, "\n")
}

// escape is url.PathEscape as AWS has it.
func escape(text, keep string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~"+keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// renewRequest signs a request anew that was good when it began. What else was signed stays as it is.
func (c credentials) renewRequest(s signature, r *http.Request, now time.Time) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-AWS4-HMAC") {
		return // each piece of its body is signed with this date
	}
	date := now.UTC().Format(isoTime)
	scope := date[:8] + "/" + c.region + "/s3/aws4_request"
	if !s.inQuery {
		r.Header.Set("X-Amz-Date", date)
		s.credential, s.date = c.accessKey+"/"+scope, date
		s.value = c.sign(scope, date, canonical(s, r))
		r.Header.Set("Authorization", algorithm+" Credential="+s.credential+", SignedHeaders="+s.signed+", Signature="+s.value)
		return
	}
	query := r.URL.Query()
	query.Set("X-Amz-Credential", c.accessKey+"/"+scope)
	query.Set("X-Amz-Date", date)
	query.Set("X-Amz-Expires", "60")
	r.URL.RawQuery = query.Encode()
	query.Set("X-Amz-Signature", c.sign(scope, date, canonical(s, r)))
	r.URL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	path, _, _ := strings.Cut(r.RequestURI, "?")
	r.RequestURI = path + "?" + r.URL.RawQuery
}

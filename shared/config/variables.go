package config

// Variable declares one environment variable.
type Variable struct {
	Name    string
	Section int // of docs/ENV_VARIABLES.md
	Rule    int // the validation rule that covers it
	Type    Type
	Default string // "" is none
	Example string // for those without a default
	Doc     string // one sentence or two, in Markdown
}

// Secret reports whether the value must never be shown.
func (v Variable) Secret() bool { return v.Type.secret }

func (v Variable) example() string {
	if v.Example != "" {
		return v.Example
	}
	return v.Default
}

// Variables returns every declaration, ordered by section.
func Variables() []Variable { return append([]Variable(nil), variables...) }

// Rules returns the text of the validation rules; the first one is rule 1.
func Rules() []string { return append([]string(nil), rules...) }

var variables = []Variable{
	{"APP_ENV", 1, 1, text, "development", "",
		"Where the program runs: `development`, `staging`, `production` or `test`. Production is strict."},
	{"LOG_LEVEL", 1, 10, level, "info", "",
		"The least level that is logged: `debug`, `info`, `warn` or `error`. Logs are JSON."},

	{"DATABASE_URL", 2, 2, secret, "", "postgres://trackstore:secret@db.example.com:5432/platform?sslmode=verify-full",
		"The Postgres database."},
	{"DATABASE_SECRET_ARN", 2, 2, text, "", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:trackstore-db-AbCdEf",
		"A secret of AWS Secrets Manager to read the database's address, user and password from."},
	{"TRACKS_TABLE", 2, 2, table, "tracks", "media.tracks",
		"The platform's table of tracks, as SQL writes it: `tracks`, `media.tracks`, `\"Tracks\"`. Trackstore's own tables are where the connection's search path begins."},

	{"JWT_SECRET", 3, 3, secret, "", "the output of `openssl rand -base64 48`",
		"The key of HS256 tokens."},
	{"JWT_JWKS_URL", 3, 3, link, "", "https://login.example.com/.well-known/jwks.json",
		"Where the public keys of RS256, ES256 and EdDSA tokens are; fetched when the first such token comes."},
	{"JWT_ISSUER", 3, 3, text, "", "https://login.example.com/",
		"If set, a token's `iss` must be this."},
	{"JWT_AUDIENCE", 3, 3, text, "", "trackstore",
		"If set, a token's `aud` must hold this."},

	{"CORS_ALLOWED_ORIGINS", 4, 10, list, "", "https://app.example.com,https://studio.example.com",
		"Origins, between commas, whose pages may call the API; `*` allows every origin."},

	{"TRUST_FORWARDED", 4, 10, flag, "false", "",
		"Whether `X-Forwarded-Host` and `Forwarded` say how clients reach the API, in the URLs of companion sessions. Only behind a proxy that sets or removes both."},

	{"UPLOAD_MAX_BYTES", 5, 7, size, "2GiB", "",
		"The largest file."},
	{"UPLOAD_SINGLE_MAX_BYTES", 5, 7, size, "64MiB", "",
		"The largest file that is sent in one request unless the client asks for it; above it, multipart."},
	{"UPLOAD_URL_TTL", 5, 8, duration, "15m", "",
		"How long a signed URL lives."},
	{"UPLOAD_TTL", 5, 8, duration, "24h", "",
		"How long a multipart upload or a companion session lives."},
	{"UPLOAD_MAX_PENDING", 5, 7, count, "50", "",
		"How many open uploads a user may have."},

	{"PLAYBACK_URL_TTL", 6, 8, duration, "4h", "",
		"How long a URL lives that a track is played by; no longer, in any case, than the keys that sign it."},
	{"PLAYBACK_CDN_URL", 6, 13, link, "", "https://media.example.com",
		"A CloudFront distribution in front of the bucket, by which tracks are played that lie there. Uploads and downloads go to the bucket's own host."},
	{"PLAYBACK_CDN_KEY_ID", 6, 13, text, "", "K2JCJMDEHXQW5F",
		"The id that CloudFront gave to the public key."},
	{"PLAYBACK_CDN_PRIVATE_KEY", 6, 13, secret, "", "the PEM that `openssl genpkey` writes",
		"The key that signs the distribution's URLs."},
	{"PLAYBACK_SCOPE", 6, 3, text, "tracks:play", "",
		"The scope (in a token's `scope` or `scp`) that lets a platform's backend or stream server play every track, whoever's it is. Give it to no user's token."},

	{"TRACK_STORAGE_BACKEND", 13, 11, text, "local", "",
		"Where new files go: `local` or `s3`."},
	{"TRACK_LOCAL_DIR", 13, 6, text, ".local/tracks", "",
		"The root of the files on disk; a track's `file_path` is under it, relative or absolute."},
	{"TRACK_LOCAL_URL", 13, 6, link, "", "https://disk.example.com",
		"The base URL of the disk server, as clients reach it."},
	{"TRACK_LOCAL_SECRET", 13, 6, secret, "", "the output of `openssl rand -base64 48`",
		"The key that signs the disk server's URLs."},
	{"AWS_S3_ENABLED", 13, 4, flag, "false", "",
		"Whether there is an S3 bucket."},
	{"AWS_S3_BUCKET", 13, 4, text, "", "platform-tracks",
		"The bucket."},
	{"AWS_REGION", 13, 4, text, "", "eu-central-1",
		"The bucket's region. In Lambda it is always set."},
	{"AWS_S3_ENDPOINT", 13, 5, link, "", "https://s3.example.com",
		"An S3-compatible server; unset means AWS."},
	{"AWS_S3_PUBLIC_ENDPOINT", 13, 5, link, "", "https://media.example.com",
		"The endpoint that goes into presigned URLs, where clients reach the storage by another name; unset means the same as `AWS_S3_ENDPOINT`."},
	{"AWS_S3_FORCE_PATH_STYLE", 13, 4, flag, "false", "",
		"Whether the bucket goes into the path of URLs and not into the host, as most S3-compatible servers need."},
	{"STORAGE_GRACE", 13, 9, duration, "168h", "",
		"How long replaced, rejected or deleted bytes stay, local files too. Longer than any restore of the database reaches back."},
	{"MIGRATE_LEASE", 13, 9, duration, "2m", "",
		"How long a worker of the migration holds a track without a heartbeat."},

	{"EVENTS_BUS", 13, 12, text, "", "platform",
		"An EventBridge bus, by its name or ARN, that gets what becomes of tracks. With neither bus nor webhook, events stay in the table `track_events`."},
	{"EVENTS_WEBHOOK_URL", 13, 12, link, "", "https://api.example.com/hooks/trackstore",
		"A URL that gets what becomes of tracks, by the Standard Webhooks specification."},
	{"EVENTS_WEBHOOK_SECRET", 13, 12, secret, "", "the output of `echo whsec_$(openssl rand -base64 32)`",
		"The key that signs what the webhook gets."},
	{"EVENTS_MOVED", 13, 12, flag, "false", "",
		"Whether the migration tells of each track that it moves."},

	{"TRACKSTORE_DEV_DIR", 20, 10, text, ".local", "",
		"Where the local stack keeps its state."},
	{"PORT", 20, 10, count, "8080", "",
		"The port of the local stack on 127.0.0.1."},

	{"TRACKSTORE_URL", 21, 10, link, "", "http://127.0.0.1:8080",
		"The API that `trackstore upload` sends to."},
	{"TRACKSTORE_TOKEN", 21, 10, secret, "", "a JWT of the user who uploads",
		"The bearer token of `trackstore upload`."},
}

var rules = []string{
	"`APP_ENV` is `development`, `staging`, `production` or `test`; `test` is treated as development.",
	"`DATABASE_URL` (a `postgres://` or `postgresql://` URL) or `DATABASE_SECRET_ARN` is set. Both only where the URL has no password: " +
		"the secret then supplies user and password alone, which is all that a secret managed by RDS holds. " +
		"In production a URL to another host whose `sslmode` does not enforce TLS warns. " +
		"`TRACKS_TABLE` is one table's name, with or without its schema; what is not quoted is folded to lower case, as SQL does.",
	"`JWT_SECRET` or `JWT_JWKS_URL` is set; with both, each verifies its own algorithms. " +
		"**In production** the secret has at least 32 bytes, and the URL is https unless its host is a loopback address; a `JWT_JWKS_URL` without `JWT_ISSUER` and `JWT_AUDIENCE` warns. " +
		"`PLAYBACK_SCOPE` is one scope: visible ASCII without spaces, quotes and backslashes.",
	"With `AWS_S3_ENABLED=true`, `AWS_S3_BUCKET` is a bucket's name and `AWS_REGION` a region's. Booleans are `true` or `false` and nothing else.",
	"`AWS_S3_ENDPOINT` and `AWS_S3_PUBLIC_ENDPOINT` are absolute http or https URLs without user, query and fragment; " +
		"**in production** https unless the host is a loopback address.",
	"`TRACK_LOCAL_URL` (held to rule 5) and `TRACK_LOCAL_SECRET` come together. **In production** the secret has at least 32 bytes, and " +
		"both are set where new files go to `local`. Without them, files on disk cannot be uploaded or played through the API.",
	"Sizes are at least 1 byte, plain or with a unit: `64MiB`, `2GiB`, `500MB`. `UPLOAD_MAX_BYTES` is at most 5 TiB, " +
		"`UPLOAD_SINGLE_MAX_BYTES` at most 5 GiB (the largest single PUT of S3); where it is larger than `UPLOAD_MAX_BYTES`, that one holds. " +
		"`UPLOAD_MAX_PENDING` is at least 1.",
	"Durations are written as `90s`, `15m` or `24h`. `UPLOAD_URL_TTL` and `PLAYBACK_URL_TTL` are from 1s to 168h (S3 signs nothing longer), `UPLOAD_TTL` is at least 1s. " +
		"**In production** `UPLOAD_TTL` is no shorter than `UPLOAD_URL_TTL`.",
	"`MIGRATE_LEASE` is at least 1s. **In production** `STORAGE_GRACE` is no shorter than `UPLOAD_TTL` and `MIGRATE_LEASE`.",
	"`CORS_ALLOWED_ORIGINS` holds origins (`https://host` or `https://host:port`, no path) or `*`; they are put into the spelling of browsers: " +
		"lower case, punycode, no default port. `LOG_LEVEL` is `debug`, `info`, `warn` or `error`. " +
		"`PORT` is from 1 to 65535, `TRACKSTORE_URL` an absolute http or https URL; a client needs it and `TRACKSTORE_TOKEN`.",
	"**In production** the program never starts with the flag on and no S3 behind it; in development and staging the same faults warn " +
		"and fall back to `local`:\n" +
		"    - `TRACK_STORAGE_BACKEND` is exactly `local` or `s3` (not `S3`, not `minio`);\n" +
		"    - `TRACK_STORAGE_BACKEND=s3` needs `AWS_S3_ENABLED=true`.",
	"`EVENTS_WEBHOOK_URL` (an absolute http or https URL, **in production** https unless its host is a loopback address) and `EVENTS_WEBHOOK_SECRET` " +
		"come together; the secret is `whsec_` and 24 to 64 bytes in base64. `EVENTS_BUS` needs `AWS_REGION`, unless it is an ARN.",
	"`PLAYBACK_CDN_URL` (held to rule 5, and without a path), `PLAYBACK_CDN_KEY_ID` and `PLAYBACK_CDN_PRIVATE_KEY` come together. The key is an RSA key of 2,048 bits or " +
		"an ECDSA key over P-256, as PEM.",
}

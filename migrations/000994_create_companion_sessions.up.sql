-- A URL that lets one user's upload widget in without a JWT. The token in it is random, and
-- only its SHA-256 is kept: whoever reads this table can open nothing with it. A row rather
-- than a signed token, because a deployment may verify tokens by public keys alone and so
-- have no secret to sign with, and because a row can be revoked.
CREATE TABLE IF NOT EXISTS companion_sessions (
    token_hash bytea       PRIMARY KEY,
    user_id    uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT companion_sessions_token_hash_check CHECK (octet_length(token_hash) = 32),
    CONSTRAINT companion_sessions_expires_check CHECK (expires_at > created_at)
);
-- Each new session removes a few dead ones.
CREATE INDEX IF NOT EXISTS companion_sessions_expires_idx ON companion_sessions (expires_at);

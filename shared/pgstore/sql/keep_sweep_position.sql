-- Keeps how far the sweep has come.
INSERT INTO track_sweep_positions (prefix, after_key) VALUES ($1, $2)
ON CONFLICT (prefix) DO UPDATE SET after_key = excluded.after_key, updated_at = now()

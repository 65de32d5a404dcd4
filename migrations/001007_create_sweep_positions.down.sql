DROP TABLE IF EXISTS track_sweep_positions;

CREATE TABLE jobsched_calendars (
    id BIGSERIAL NOT NULL,
    name VARCHAR(64) NOT NULL,
    definition TEXT NOT NULL,
    description TEXT,
    source VARCHAR(255) DEFAULT 'sql' NOT NULL,
    created_at TIMESTAMP WITHOUT TIME ZONE DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
    updated_at TIMESTAMP WITHOUT TIME ZONE DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
    planned TEXT,
    error TEXT,
    PRIMARY KEY (id),
    UNIQUE (name)
)

CREATE TABLE jobsched_calendars (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(64) NOT NULL,
    definition MEDIUMTEXT NOT NULL,
    description MEDIUMTEXT,
    source VARCHAR(255) NOT NULL DEFAULT 'sql',
    created_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    planned MEDIUMTEXT,
    error MEDIUMTEXT,
    PRIMARY KEY (id),
    UNIQUE (name)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin

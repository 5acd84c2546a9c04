CREATE TABLE jobsched_beats (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    started_at DATETIME(6) NOT NULL,
    seen_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE jobsched_changes (
    id BIGINT NOT NULL AUTO_INCREMENT,
    job_id BIGINT NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    changed_by VARCHAR(255),
    door VARCHAR(16) NOT NULL,
    was MEDIUMTEXT,
    became MEDIUMTEXT,
    note MEDIUMTEXT,
    PRIMARY KEY (id)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX jobsched_changes_job ON jobsched_changes (job_id, changed_at);

CREATE TABLE jobsched_fires (
    id VARCHAR(36) NOT NULL,
    job_id BIGINT NOT NULL,
    job_name VARCHAR(255) NOT NULL,
    `key` VARCHAR(64) NOT NULL,
    fire_at DATETIME(6) NOT NULL,
    until_at DATETIME(6),
    count BIGINT,
    due_at DATETIME(6),
    origin VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason MEDIUMTEXT,
    ready_at DATETIME(6),
    args JSON,
    kwargs JSON,
    publishes INTEGER NOT NULL DEFAULT '0',
    token VARCHAR(36),
    lease_until DATETIME(6),
    beat VARCHAR(36),
    sent_at DATETIME(6),
    started_at DATETIME(6),
    finished_at DATETIME(6),
    worker VARCHAR(255),
    result MEDIUMTEXT,
    error MEDIUMTEXT,
    PRIMARY KEY (id),
    CONSTRAINT jobsched_fires_once UNIQUE (job_id, `key`)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX jobsched_fires_job ON jobsched_fires (job_id, fire_at);

CREATE INDEX jobsched_fires_ready_at ON jobsched_fires (ready_at);

CREATE TABLE jobsched_jobs (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    task VARCHAR(255) NOT NULL,
    args JSON,
    kwargs JSON,
    options JSON,
    description MEDIUMTEXT,
    every VARCHAR(255),
    at VARCHAR(255),
    cron VARCHAR(255),
    once MEDIUMTEXT,
    rrule MEDIUMTEXT,
    celery VARCHAR(255),
    keyword VARCHAR(255),
    custom VARCHAR(255),
    timezone VARCHAR(64),
    starts_at DATETIME(6),
    ends_at DATETIME(6),
    max_fires INTEGER,
    only_during MEDIUMTEXT,
    not_during MEDIUMTEXT,
    on_excluded VARCHAR(16),
    jitter DOUBLE,
    max_concurrency INTEGER,
    concurrency_key VARCHAR(255),
    overlap VARCHAR(16),
    misfire VARCHAR(16),
    misfire_grace_time DOUBLE,
    lease DOUBLE,
    max_failures INTEGER,
    month_end VARCHAR(16),
    dst_gap VARCHAR(16),
    dst_fold VARCHAR(16),
    on_end VARCHAR(16),
    labels JSON,
    on_success VARCHAR(255),
    on_failure VARCHAR(255),
    enabled BOOL NOT NULL DEFAULT true,
    paused_at DATETIME(6),
    paused_by VARCHAR(255),
    paused_note MEDIUMTEXT,
    paused_until DATETIME(6),
    source VARCHAR(255) NOT NULL DEFAULT 'sql',
    version BIGINT NOT NULL DEFAULT '0',
    created_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    updated_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
    anchor_at DATETIME(6),
    next_fire_at DATETIME(6),
    due_at DATETIME(6),
    last_fire_at DATETIME(6),
    fire_count BIGINT NOT NULL DEFAULT '0',
    failure_count BIGINT NOT NULL DEFAULT '0',
    planned MEDIUMTEXT,
    error MEDIUMTEXT,
    wake_at DATETIME(6) GENERATED ALWAYS AS (CASE WHEN planned IS NULL OR planned <> (CONCAT(CONCAT(COALESCE(CONCAT('every=', `every`, '\n'), ''), COALESCE(CONCAT('at=', `at`, '\n'), ''), COALESCE(CONCAT('cron=', `cron`, '\n'), ''), COALESCE(CONCAT('celery=', `celery`, '\n'), ''), COALESCE(CONCAT('keyword=', `keyword`, '\n'), ''), COALESCE(CONCAT('custom=', `custom`, '\n'), ''), COALESCE(CONCAT('timezone=', `timezone`, '\n'), ''), COALESCE(CONCAT('starts_at=', `starts_at`, '\n'), ''), COALESCE(CONCAT('ends_at=', `ends_at`, '\n'), ''), COALESCE(CONCAT('only_during=', `only_during`, '\n'), ''), COALESCE(CONCAT('not_during=', `not_during`, '\n'), ''), COALESCE(CONCAT('on_excluded=', `on_excluded`, '\n'), ''), COALESCE(CONCAT('jitter=', `jitter`, '\n'), ''), COALESCE(CONCAT('month_end=', `month_end`, '\n'), ''), COALESCE(CONCAT('dst_gap=', `dst_gap`, '\n'), ''), COALESCE(CONCAT('dst_fold=', `dst_fold`, '\n'), ''), COALESCE(CONCAT('once=', `once`, '\n'), ''), COALESCE(CONCAT('rrule=', `rrule`, '\n'), ''), COALESCE(CONCAT('enabled=', `enabled`, '\n'), ''), COALESCE(CONCAT('max_fires=', `max_fires`, '\n'), ''), COALESCE(CONCAT('max_concurrency=', `max_concurrency`, '\n'), ''), COALESCE(CONCAT('concurrency_key=', `concurrency_key`, '\n'), ''), COALESCE(CONCAT('overlap=', `overlap`, '\n'), ''), COALESCE(CONCAT('misfire=', `misfire`, '\n'), ''), COALESCE(CONCAT('misfire_grace_time=', `misfire_grace_time`, '\n'), ''), COALESCE(CONCAT('lease=', `lease`, '\n'), ''), COALESCE(CONCAT('max_failures=', `max_failures`, '\n'), ''), COALESCE(CONCAT('on_end=', `on_end`, '\n'), ''), COALESCE(CONCAT('on_success=', `on_success`, '\n'), ''), COALESCE(CONCAT('on_failure=', `on_failure`, '\n'), ''), COALESCE(CONCAT('paused_until=', `paused_until`, '\n'), '')), CASE WHEN error IS NULL THEN '' ELSE CONCAT(COALESCE(CONCAT('name=', `name`, '\n'), ''), COALESCE(CONCAT('task=', `task`, '\n'), ''), COALESCE(CONCAT('args=', `args`, '\n'), ''), COALESCE(CONCAT('kwargs=', `kwargs`, '\n'), ''), COALESCE(CONCAT('options=', `options`, '\n'), ''), COALESCE(CONCAT('labels=', `labels`, '\n'), ''), COALESCE(CONCAT('created_at=', `created_at`, '\n'), ''), COALESCE(CONCAT('last_fire_at=', `last_fire_at`, '\n'), ''), COALESCE(CONCAT('fire_count=', `fire_count`, '\n'), '')) END)) THEN TIMESTAMP'1970-01-01 00:00:00' WHEN error IS NOT NULL THEN NULL WHEN NOT enabled THEN CASE WHEN paused_until > TIMESTAMP'1970-01-01 00:00:00' THEN paused_until END ELSE due_at END) STORED,
    PRIMARY KEY (id),
    CONSTRAINT jobsched_jobs_enabled CHECK (enabled IN (0, 1)),
    UNIQUE (name)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX jobsched_jobs_source ON jobsched_jobs (source);

CREATE INDEX jobsched_jobs_wake_at ON jobsched_jobs (wake_at);

CREATE TABLE jobsched_meta (
    `key` VARCHAR(64) NOT NULL,
    value MEDIUMTEXT NOT NULL,
    PRIMARY KEY (`key`)
)CHARSET=utf8mb4 COLLATE utf8mb4_bin;

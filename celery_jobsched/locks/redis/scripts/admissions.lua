-- Admissions: a hash a fire, the record of the copy that was admitted last. It expires when its
-- time is over. `standing` is the admission table, line for line as in locks/admission.py.

local function read(key)
  local found = redis.call(
    'HMGET', key, 'state', 'token', 'number', 'retries', 'worker', 'until', 'redelivered')
  if not found[1] then
    return nil
  end
  return {
    state = found[1], token = found[2], number = found[3], retries = tonumber(found[4]),
    worker = found[5], lease_end = tonumber(found[6]), alive = tonumber(found[6]) > now,
    redelivered = found[7],
  }
end

local function is_of(copy, record)
  return record and record.token == copy.token and record.retries == copy.retries
    and record.worker == copy.worker
end

-- The note that the broker delivered it again stays with the copy that it was made for.
local function write(copy, record, state, lease)
  local key = KEYS[copy.record]
  local redelivered = is_of(copy, record) and record.redelivered or 0
  redis.call(
    'HSET', key, 'state', state, 'token', copy.token, 'number', copy.number,
    'retries', copy.retries, 'worker', copy.worker, 'until', now + lease,
    'redelivered', redelivered)
  redis.call('PEXPIRE', key, lease + MAX_QUEUE_TIME)
end

-- Whether another copy has taken the place of this one, which a worker has in hand.
local function is_passed(copy, record)
  if not record or is_of(copy, record) then
    return false
  end
  if record.state == 'ended' then
    return true
  end
  if record.token == copy.token and record.retries ~= copy.retries then
    return record.retries > copy.retries
  end
  return record.alive
end

local function same_token(copy, record)
  if copy.retries ~= record.retries then
    return copy.retries > record.retries and 'RETRY' or 'OUTDATED'
  end
  if record.state == 'reserved' and (record.worker == copy.worker or not record.alive) then
    return 'AGAIN'
  end
  return record.alive and 'IN_HAND' or 'RETURNED'
end

local function other_token(record)
  if record.alive then
    return 'OTHER'
  end
  if record.state == 'reserved' or record.redelivered == '1' then
    return 'REPLACES'
  end
  return 'LOST'
end

local function standing(copy, record)
  if not record then
    local forgotten = copy.number > 1 and memory() > copy.made_at
    return forgotten and 'FORGOTTEN' or 'FIRST'
  end
  if record.state == 'ended' then
    return 'ENDED'
  end
  if record.token == copy.token then
    return same_token(copy, record)
  end
  return other_token(record)
end

-- A retry tells when its run was published; its own message may be a second old.
local function judge(copy, record)
  local answer = standing(copy, record)
  if copy.published_at < now - MAX_QUEUE_TIME and answer ~= 'RETRY' then
    return 'TOO_OLD'
  end
  return answer
end

local MAY_RUN = {FIRST = true, AGAIN = true, RETRY = true, RETURNED = true, REPLACES = true}

-- Between two attempts a run goes on, whoever else runs: this renews it, as its worker does.
local function takes(copy, answer, record)
  if answer == 'RETRY' and record.alive then
    return keep(copy)
  end
  return take(copy, is_silent())
end

function verbs.admit(copy)
  local record = read(KEYS[copy.record])
  local answer = judge(copy, record)
  if answer == 'IN_HAND' then
    redis.call('HSET', KEYS[copy.record], 'redelivered', 1)
  end
  if not MAY_RUN[answer] then
    return answer
  end
  if not takes(copy, answer, record) then
    release(copy)
    write(copy, record, 'reserved', 0)
    return 'FULL'
  end
  write(copy, record, 'reserved', copy.lease)
  return answer
end

-- Whether the record leaves room for what a worker says of a copy that it has in hand.
local function is_current(copy, record)
  return not is_passed(copy, record) and not (record and record.state == 'ended')
end

-- Where the record was lost, it is written anew.
local function renew_copy(copy)
  local record = read(KEYS[copy.record])
  if not is_current(copy, record) then
    return false
  end
  local lease, state = copy.lease, copy.accepted and 'accepted' or 'reserved'
  if is_of(copy, record) then
    lease, state = math.max(lease, record.lease_end - now), record.state
  end
  write(copy, record, state, lease)
  return keep(copy)
end

-- A fire in a queue, as a beat knows it. It is no fact: the limits hold.
local function renew_hold(hold, of_runs_alone)
  local record = read(KEYS[hold.record])
  if record and record.state == 'ended' then
    return false
  end
  if record and record.state == 'accepted' and record.alive then
    return true
  end
  return not is_any_released(hold) and take(hold, of_runs_alone)
end

function verbs.renew(holds)
  local of_runs_alone = hears_of_runs_alone()
  return each(holds, function(hold)
    if hold.token then
      return renew_copy(hold)
    end
    return renew_hold(hold, of_runs_alone)
  end)
end

-- Not where a worker has a copy in hand: it frees the slots itself.
function verbs.release(holds)
  return each(holds, function(hold)
    local record = read(KEYS[hold.record])
    if record and record.alive then
      return false
    end
    release(hold)
    return true
  end)
end

local function each_step(steps, answer)
  local done = each(steps, answer)
  drop_reports()
  return done
end

function verbs.accept(steps)
  return each_step(steps, function(copy)
    local record = read(KEYS[copy.record])
    local current = is_current(copy, record)
    if current then
      write(copy, record, 'accepted', copy.lease)
      keep(copy)
    end
    add_report(copy.report)
    return current
  end)
end

function verbs.give_back(copies)
  for _, copy in ipairs(copies) do
    local record = read(KEYS[copy.record])
    if is_of(copy, record) and record.state ~= 'ended' then
      write(copy, record, 'reserved', 0)
    end
  end
  return #copies
end

local function finish(copy)
  write(copy, nil, 'ended', 0)
  release(copy)
end

verbs['end'] = function(steps)
  return each_step(steps, function(copy)
    local passed = is_passed(copy, read(KEYS[copy.record]))
    if not passed then
      finish(copy)
    end
    add_report(copy.report)
    return not passed
  end)
end

function verbs.withdraw(steps)
  return each_step(steps, function(copy)
    local may = MAY_RUN[standing(copy, read(KEYS[copy.record]))]
    if may then
      finish(copy)
      add_report(copy.report)
    end
    return may
  end)
end

function verbs.admissions(asked)
  local found = {}
  for i, key in ipairs(asked) do
    local it = read(KEYS[key])
    found[i] = it and {
      it.state, it.token, it.number, it.retries, it.worker, it.lease_end, it.alive and 1 or 0,
      it.redelivered,
    } or {}
  end
  return found
end

-- Slots: a sorted set a key. Its members are the fires that hold it, by the time their lease ends.
-- A fire that was released stays as its own tombstone, by that time negated: so what is over, of
-- either kind, is one range around zero.

local function is_held(slots, fire)
  local score = redis.call('ZSCORE', slots, fire)
  return score and tonumber(score) > now
end

local function is_released(slots, fire)
  local score = redis.call('ZSCORE', slots, fire)
  return score and tonumber(score) < -now
end

local function held(slots)
  return redis.call('ZCOUNT', slots, '(' .. now, '+inf')
end

local function held_by_others(slots, fire)
  return held(slots) - (is_held(slots, fire) and 1 or 0)
end

local function put(slots, fire, score, lease)
  redis.call('ZREMRANGEBYSCORE', slots, -now, now)
  redis.call('ZADD', slots, score, fire)
  if redis.call('PTTL', slots) < lease then
    redis.call('PEXPIRE', slots, lease + 1000)
  end
end

local function prolong(hold)
  for _, limit in ipairs(hold.limits) do
    local slots = KEYS[limit[1]]
    local score = tonumber(redis.call('ZSCORE', slots, hold.fire) or 0)
    put(slots, hold.fire, math.max(score, now + hold.lease), hold.lease)
  end
end

local function release(hold)
  for _, limit in ipairs(hold.limits) do
    put(KEYS[limit[1]], hold.fire, -(now + hold.lease), hold.lease)
  end
end

-- Whether the fire holds a slot of each key now. None is taken where one is missing; and none is
-- kept that runs are in need of, of which a lost memory heard late.
local function take(hold, silent)
  for _, limit in ipairs(hold.limits) do
    local slots, most = KEYS[limit[1]], limit[2]
    if silent and not is_held(slots, hold.fire) or held_by_others(slots, hold.fire) >= most then
      return false
    end
  end
  prolong(hold)
  return true
end

local function is_any_released(hold)
  for _, limit in ipairs(hold.limits) do
    if is_released(KEYS[limit[1]], hold.fire) then
      return true
    end
  end
  return false
end

-- Holds a slot of each key whatever the limits, unless one was released lately.
local function keep(hold)
  if is_any_released(hold) then
    return false
  end
  prolong(hold)
  return true
end

function verbs.acquire(wanted)
  local silent = is_silent()
  return each(wanted, function(hold)
    return take(hold, silent)
  end)
end

function verbs.holders(asked)
  local found = {}
  for i, key in ipairs(asked) do
    found[i] = redis.call('ZRANGEBYSCORE', KEYS[key], '(' .. now, '+inf', 'WITHSCORES')
  end
  return found
end

function verbs.free(limits)
  local silent, found = is_silent(), {}
  for i, limit in ipairs(limits) do
    found[i] = silent and 0 or math.max(0, limit[2] - held(KEYS[limit[1]]))
  end
  return found
end

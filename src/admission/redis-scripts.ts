import { createHash } from 'node:crypto';
import { LATEST_MS } from './come-back.ts';
import { MAX_DEBT_MINUTES } from './leaky-bucket.ts';
import { RUNNING_RETRY_MS } from './subject.ts';

/** Lua that Redis runs as one step. */
export interface Script {
  readonly text: string;
  /** By which Redis knows it once it has seen it. */
  readonly sha1: string;
}

/**
 * What the scripts have in common. Every subject has two keys: a hash with its buckets and its money, and a sorted
 * set with a lease for every request that runs, by the time at which it ends unless it is renewed.
 *
 * `KEYS[1]` is a clock that follows Redis's own by steps of at most `ARGV[1]` ms and never goes back, so that a jump of the system's clock
 * neither fills buckets nor ends leases; heartbeats keep it going. Days and months are the gateways', and do not go
 * back either; where two gateways differ by more than a day, Redis's own day says which of them is wrong. An epoch begins with the clock: a Redis that has lost one has lost the counters, too.
 *
 * Money is known twice: by what gateways have settled here, and by what the ledger has, which hears of the same requests in its own time. The
 * larger one counts; they are never added, as one gateway's ledger may know what another has yet to settle.
 *
 * Lua's numbers hold integers up to 2^53 exactly, but its own way to print them does not: always through `int`.
 */
const PRELUDE = `
local MAX_INT = 9007199254740991
local DAY_MS = 86400000
local KEEP_MS = 3456000000
local TINY = 0.000001
local function int(number) return string.format('%.0f', number) end
local function real(number) return string.format('%.17g', number) end

local function tick()
  local time = redis.call('TIME')
  local system = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen = redis.call('HMGET', KEYS[1], 'system', 'steady', 'epoch')
  local passed = system - (tonumber(seen[1]) or system)
  local steady = (tonumber(seen[2]) or system) + math.max(0, math.min(passed, tonumber(ARGV[1])))
  local epoch = seen[3] or time[1] .. '.' .. time[2]
  redis.call('HSET', KEYS[1], 'system', int(system), 'steady', int(steady), 'epoch', epoch)
  redis.call('PEXPIRE', KEYS[1], KEEP_MS)
  return steady, epoch, math.floor(system / DAY_MS)
end

local now, epoch, today = tick()

local function nanoOf(member) return tonumber(string.match(member, '(%d+)$')) end

-- Whether the day that is stored stays. One more is the next day; more than that, it is an old one, or somebody's clock is wrong.
local function stays(stored, day)
  if day < stored then return stored <= math.max(day, today) + 1 end
  return day > math.max(stored, today) + 1 and stored <= today + 1
end

local function read(hash, leases, day, month)
  local v = redis.call('HMGET', hash, 'at', 'requests', 'tokens', 'gone', 'day', 'daySpent', 'month', 'monthSpent', 'reserved',
    'dayKnown', 'monthKnown', 'begun', 'rpm', 'tpm')
  local s = { hash = hash, leases = leases, at = tonumber(v[1]) or now, gone = tonumber(v[4]) or 0 }
  s.requests, s.tokens = tonumber(v[2]) or 0, tonumber(v[3]) or 0
  s.rpm, s.tpm = tonumber(v[13]), tonumber(v[14])
  local storedDay, storedMonth = tonumber(v[5]) or day, tonumber(v[7]) or month
  s.day, s.month = day, month
  if stays(storedDay, day) then s.day, s.month = storedDay, storedMonth end
  -- What was spent in a day that was wrong was spent in the one that takes its place.
  s.daySpent = s.day <= storedDay and tonumber(v[6]) or 0
  s.monthSpent = s.month <= storedMonth and tonumber(v[8]) or 0
  s.dayKnown = s.day <= storedDay and tonumber(v[10]) or 0
  s.monthKnown = s.month <= storedMonth and tonumber(v[11]) or 0
  s.reserved = tonumber(v[9]) or 0
  s.begun = v[12] or ''
  return s
end

local function drain(s)
  local minutes = math.max(0, now - s.at) / 60000
  local before = s.tokens
  s.requests = s.rpm and math.max(0, s.requests - minutes * s.rpm) or 0
  s.tokens = s.tpm and math.max(0, before - minutes * s.tpm) or 0
  if s.tpm then s.gone = s.gone + before - s.tokens end
end

local function write(s)
  redis.call('HSET', s.hash, 'at', int(now), 'requests', real(s.requests), 'tokens', real(s.tokens), 'gone', real(s.gone),
    'day', int(s.day), 'daySpent', int(s.daySpent), 'month', int(s.month), 'monthSpent', int(s.monthSpent), 'reserved', int(s.reserved),
    'dayKnown', int(s.dayKnown), 'monthKnown', int(s.monthKnown), 'begun', s.begun,
    'rpm', s.rpm and int(s.rpm) or '', 'tpm', s.tpm and int(s.tpm) or '')
  redis.call('PEXPIRE', s.hash, KEEP_MS)
end
`;

/**
 * Looks at all limits of a request, and takes them if all have room.
 *
 * KEYS: clock, then hash and leases of each subject. ARGV: step, lease in ms, id, tokens, nano-dollars that have to be there and that are held, day, month, then for each subject
 * its five limits (empty: none) and what is known to be spent in the day and the month.
 * Replies with the subject that has no room (0: all have), the number of its limit (6 and 7: budgets of which the rest is held), in how many ms to come back (empty: not for the script to say), the epoch, then
 * for each subject the level of its two buckets and where what was taken of its tokens ends. Who is refused takes nothing but a time to come back: see `comeBackAt`.
 */
const ADMIT = script(`
local lease, id, tokens, nano = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local most, day, month = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local subjects = {}
local refusedBy, limit = 0, 0

local function expire(s)
  local ended = redis.call('ZRANGEBYSCORE', s.leases, '-inf', int(now), 'LIMIT', 0, 1000)
  for _, member in ipairs(ended) do s.reserved = math.max(0, s.reserved - nanoOf(member)) end
  if #ended > 0 then
    redis.call('ZREM', s.leases, unpack(ended))
    redis.call('HSET', s.hash, 'reserved', int(s.reserved))
    redis.call('PEXPIRE', s.hash, KEEP_MS)
  end
  s.running = redis.call('ZCARD', s.leases)
  if s.running == 0 then s.reserved = 0 end
end

local function lacking(s, wanted)
  if s.perDay and math.max(s.daySpent, s.dayKnown) + wanted > s.perDay then return 4 end
  if s.perMonth and math.max(s.monthSpent, s.monthKnown) + wanted > s.perMonth then return 5 end
  return 0
end

local function obstacle(s)
  if s.concurrency and s.running >= s.concurrency then return 1 end
  if s.rpm and s.requests + 1 - s.rpm > TINY then return 2 end
  if s.tpm and s.tokens + tokens - s.tpm > TINY then return 3 end
  local spent = lacking(s, nano)
  if spent > 0 then return spent end
  local held = lacking(s, s.reserved + nano)
  return held > 0 and held + 2 or 0
end

local function comeBack(s)
  local wait, each = ${RUNNING_RETRY_MS}, ${RUNNING_RETRY_MS} / math.max(1, s.running or 0)
  if limit == 4 or limit == 5 or limit == 3 and tokens > s.tpm then return '' end
  if limit == 2 then wait, each = (s.requests + 1 - s.rpm) / s.rpm * 60000, 60000 / s.rpm end
  if limit == 3 then wait, each = (s.tokens + tokens - s.tpm) / s.tpm * 60000, tokens / s.tpm * 60000 end
  local first = now + math.max(1, math.ceil(wait))
  local told = math.max(first, (tonumber(redis.call('HGET', s.hash, 'told')) or 0) + each)
  if told - now > ${LATEST_MS} then told = first end
  redis.call('HSET', s.hash, 'told', real(told))
  redis.call('PEXPIRE', s.hash, KEEP_MS)
  return int(math.ceil(told - now))
end

for i = 1, (#KEYS - 1) / 2 do
  local a = 8 + (i - 1) * 7
  local s = read(KEYS[2 * i], KEYS[2 * i + 1], day, month)
  local rpm, tpm = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  s.changed = rpm ~= s.rpm or tpm ~= s.tpm
  s.rpm, s.tpm, s.concurrency = rpm, tpm, tonumber(ARGV[a + 3])
  drain(s)
  s.perDay, s.perMonth = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  if s.day == day then s.dayKnown = math.max(s.dayKnown, tonumber(ARGV[a + 6])) end
  if s.month == month then s.monthKnown = math.max(s.monthKnown, tonumber(ARGV[a + 7])) end
  if s.begun == '' then
    s.begun, s.daySpent, s.monthSpent = epoch, math.max(s.daySpent, s.dayKnown), math.max(s.monthSpent, s.monthKnown)
  end
  s.leased = s.concurrency or s.perDay or s.perMonth
  if s.leased then expire(s) end
  if refusedBy == 0 then
    limit = obstacle(s)
    if limit > 0 then refusedBy = i end
  end
  subjects[i] = s
end

local reply = { refusedBy, limit, refusedBy > 0 and comeBack(subjects[refusedBy]) or '', epoch }
for _, s in ipairs(subjects) do
  if refusedBy == 0 then
    if s.rpm then s.requests = s.requests + 1 end
    if s.tpm then s.tokens = s.tokens + tokens end
    if s.leased then
      s.reserved = math.min(s.reserved + most, MAX_INT)
      redis.call('ZADD', s.leases, int(now + lease), id .. ':' .. int(most))
      redis.call('PEXPIRE', s.leases, KEEP_MS)
    end
  end
  if refusedBy == 0 or s.changed then write(s) end
  reply[#reply + 1] = real(s.requests)
  reply[#reply + 1] = real(s.tokens)
  reply[#reply + 1] = real(s.gone + s.tokens)
end
return reply
`);

/**
 * Settles requests, each once: a gateway numbers its settlements and sends them in order until they are acknowledged, and what has been
 * taken is not taken again. What was spent in another epoch is the ledger's to tell: what is counted here may have begun with it.
 *
 * Buckets run out at the rates of the last request, which may have come under other limits than what is settled.
 *
 * KEYS: clock, the number of the last settlement taken, then hash and leases for each line. ARGV: step, day, month, then for each line its
 * settlement's number, lease, tokens taken and where they end (empty: they do not count), tokens used, nano-dollars used, epoch.
 */
const SETTLE = script(`
local day, month = tonumber(ARGV[2]), tonumber(ARGV[3])
local taken = tonumber(redis.call('GET', KEYS[2]) or 0)
local last = taken

for i = 1, (#KEYS - 2) / 2 do
  local a = 3 + (i - 1) * 7
  local number = tonumber(ARGV[a + 1])
  if number > taken then
    last = number
    local member = ARGV[a + 2]
    local s = read(KEYS[2 * i + 1], KEYS[2 * i + 2], day, month)
    drain(s)
    if redis.call('ZREM', s.leases, member) == 1 then s.reserved = math.max(0, s.reserved - nanoOf(member)) end
    local before, ends, used = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
    if s.tpm and before then
      if used > before then
        s.tokens = math.max(s.tokens, math.min(s.tokens + used - before, ${MAX_DEBT_MINUTES} * s.tpm))
      else
        local back = math.max(0, math.min(before - used, ends - s.gone, s.tokens))
        s.tokens = s.tokens - back
        s.gone = s.gone + back
      end
    end
    local spent = ARGV[a + 7] == epoch and tonumber(ARGV[a + 6]) or 0
    s.daySpent = math.min(s.daySpent + spent, MAX_INT)
    s.monthSpent = math.min(s.monthSpent + spent, MAX_INT)
    write(s)
  end
end
redis.call('SET', KEYS[2], int(last), 'PX', KEEP_MS)
return last
`);

/**
 * Says that a gateway lives, and all its requests with it; those that Redis has lost are there again.
 *
 * KEYS: clock, the gateways by the time when they are taken for dead, then hash and leases for each lease. ARGV: step, lease in ms, the
 * gateway, then the leases. Replies with the number of gateways and the epoch.
 */
const RENEW = script(`
local ends = int(now + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], ends, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(now))
redis.call('PEXPIRE', KEYS[2], KEEP_MS)
for i = 1, (#KEYS - 2) / 2 do
  local hash, leases, member = KEYS[2 * i + 1], KEYS[2 * i + 2], ARGV[3 + i]
  if redis.call('ZADD', leases, ends, member) == 1 then
    redis.call('HINCRBY', hash, 'reserved', int(nanoOf(member)))
    redis.call('PEXPIRE', hash, KEEP_MS)
  end
  redis.call('PEXPIRE', leases, KEEP_MS)
end
return { redis.call('ZCARD', KEYS[2]), epoch }
`);

export const SCRIPTS = { admit: ADMIT, settle: SETTLE, renew: RENEW } as const;

function script(body: string): Script {
  const text = PRELUDE + body;
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

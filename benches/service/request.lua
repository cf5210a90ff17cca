-- Requests for `wrk`, each another one: `wrk -s request.lua URL -- TEMPLATE TOKENS IDS PAUSE`.
--
-- TEMPLATE is a whole request in which {token}, {id} and {ip} stand for the next token of the file
-- TOKENS, the next of so many IDS, and another address; {again} is the last id once more. What stands for
-- them has a fixed width, so that the length of the body is known before. Each connection makes a PAUSE of so
-- many milliseconds before it asks. What is long to write, as a batch is, is written in advance, a few of them,
-- and asked in turn: else the asking would take longer than the answering.

local parts, tokens, ids = {}, {}, 0
local asked, named, pause = 0, 0, 0

-- A prime: neighbouring requests are about things that do not lie side by side.
local STRIDE = 7919

-- Places to be filled in what is long to write, and how many of them are written.
local LONG, WRITTEN = 40, 64

local function read(path)
    local file = assert(io.open(path, "r"))
    local text = file:read("*a")
    file:close()
    return text
end

local function id()
    return string.format("%08d", named * STRIDE % ids)
end

local next_of = {
    id = function()
        named = named + 1
        return id()
    end,
    again = id,
    ip = function()
        local rest = asked % 1000000
        return "10." .. 100 + rest % 100 .. "." .. 100 + math.floor(rest / 100) % 100 .. "." .. 100 + math.floor(rest / 10000)
    end,
    token = function()
        return tokens[asked % #tokens + 1]
    end,
}

function init(arguments)
    local template = read(arguments[1])
    for token in read(arguments[2]):gmatch("%S+") do
        tokens[#tokens + 1] = token
    end
    ids = tonumber(arguments[3])
    pause = tonumber(arguments[4])
    if pause > 0 then
        -- wrk waits only where this is defined.
        delay = function()
            return pause
        end
    end
    local from = 1
    for at, name, after in template:gmatch("(){(%l+)}()") do
        if next_of[name] then
            parts[#parts + 1] = template:sub(from, at - 1)
            parts[#parts + 1] = next_of[name]
            from = after
        end
    end
    parts[#parts + 1] = template:sub(from)
end

local text, written = {}, {}

local function write()
    for place = 1, #parts, 2 do
        text[place] = parts[place]
        if parts[place + 1] then
            text[place + 1] = parts[place + 1]()
        end
    end
    return table.concat(text)
end

function request()
    asked = asked + 1
    if #parts < LONG then
        return write()
    end
    local place = asked % WRITTEN + 1
    written[place] = written[place] or write()
    return written[place]
end

-- One line that a program reads; times are in microseconds.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "duration": %d, "p50": %d, "p99": %d, "slowest": %d, "refused": %d, "broken": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end

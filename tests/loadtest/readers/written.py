"""Small files as the tools write them, made from the formats that their manuals describe."""

import json
import struct

import numpy as np

_COLUMNS = (
    "timeStamp elapsed label responseCode responseMessage threadName dataType success failureMessage bytes sentBytes "
    "grpThreads allThreads URL Latency IdleTime Connect"
)
JMETER_DEFAULT = tuple(_COLUMNS.split())
USERS = (1, 2, 4, 8, 16)
STEP_S = 15
BEGINS_MS = 1_700_000_000_000


def closed_requests(*, service_ms: float = 100.0, slots: int = 8, users=USERS, step_s: int = STEP_S):
    """Requests of users that never pause, against so many slots: step, user, start and duration in milliseconds."""
    rows = []
    for step, count in enumerate(users):
        duration = service_ms * max(count / slots, 1.0)
        begins = BEGINS_MS + step * step_s * 1000
        starts = np.arange(begins, begins + step_s * 1000 - duration, duration)
        rows += [(step, user, start, duration) for start in starts for user in range(count)]
    return rows


def throughput(count: int, *, service_ms: float = 100.0, slots: int = 8) -> float:
    """What so many users get out of the slots."""
    return min(count, slots) / (service_ms / 1e3)


def jmeter_csv(
    *,
    columns=("timeStamp", "elapsed", "label", "responseCode", "threadName", "success", "allThreads"),
    delimiter=",",
    header=True,
    ends=False,
    groups=True,
    stamp=lambda ms: f"{ms:.0f}",
):
    """A JTL file with these columns."""
    lines = [delimiter.join(columns)] if header else []
    for step, user, start, duration in closed_requests():
        cells = {
            "timeStamp": stamp(start + duration if ends else start),
            "elapsed": f"{duration:.0f}",
            "label": "GET /",
            "responseCode": "200",
            "responseMessage": "OK",
            "threadName": f"step{step} 1-{user + 1}" if groups else f"users 1-{user + 1}",
            "dataType": "text",
            "success": "true",
            "failureMessage": "",
            "bytes": "10",
            "sentBytes": "10",
            "grpThreads": str(USERS[step]),
            "allThreads": str(USERS[step]),
            "URL": "http://host/",
            "Latency": "1",
            "IdleTime": "0",
            "Connect": "0",
        }
        lines.append(delimiter.join(cells[name] for name in columns))
    return "\n".join(lines) + "\n"


def jmeter_xml(*, parts=False):
    """A JTL file in XML; with parts, every sample has two samples in it."""
    rows = ['<?xml version="1.0" encoding="UTF-8"?>', '<testResults version="1.2">']
    inner = '<httpSample t="10" ts="{0:.0f}" s="true" lb="part" rc="200" rm="OK" tn="{1}"/>' * 2 if parts else ""
    for step, user, start, duration in closed_requests():
        thread = f"users 1-{user + 1}"
        rows.append(
            f'<httpSample t="{duration:.0f}" ts="{start:.0f}" s="true" lb="GET /" rc="200" rm="OK" tn="{thread}"'
            f' na="{USERS[step]}">{inner.format(start, thread)}<java.net.URL>http://host/</java.net.URL></httpSample>'
        )
    return "\n".join([*rows, "</testResults>"])


def gatling_text(layout: str) -> str:
    """A simulation log in the layout of 2.0, 2.3, 3.3 or 3.10."""
    begin = BEGINS_MS
    rows = {
        "2.0": [f"pkg.Sim\tsim\tRUN\t{begin}\t \t2.0"],
        "2.3": [f"RUN\tpkg.Sim\t\tsim\t{begin}\t \t2.3.1"],
        "3.3": [f"RUN\tpkg.Sim\tsim\t{begin}\t \t3.3.1"],
        "3.10": ["ASSERTION\tAAECAAICAAAAAAAAAFRA", f"RUN\tpkg.Sim\tsim\t{begin}\t \t3.10.5"],
    }[layout]
    for step, count in enumerate(USERS):
        a, b = begin + step * STEP_S * 1000, begin + (step + 1) * STEP_S * 1000
        for user in range(count):
            rows += {
                "2.0": [f"scn\t{user}\tUSER\tSTART\t{a}\t0", f"scn\t{user}\tUSER\tEND\t{a}\t{b}"],
                "2.3": [f"USER\tscn\t{user}\tSTART\t{a}\t{a}", f"USER\tscn\t{user}\tEND\t{a}\t{b}"],
                "3.3": [f"USER\tscn\t{user}\tSTART\t{a}\t{a}", f"USER\tscn\t{user}\tEND\t{a}\t{b}"],
                "3.10": [f"USER\tscn\tSTART\t{a}", f"USER\tscn\tEND\t{b}"],
            }[layout]
    for _, user, start, duration in closed_requests():
        a, b = f"{start:.0f}", f"{start + duration:.0f}"
        rows.append(
            {
                "2.0": f"scn\t{user}\tREQUEST\tgroup\tGET /\t{a}\t{a}\t{b}\t{b}\tOK\t ",
                "2.3": f"REQUEST\tscn\t{user}\tgroup\tGET /\t{a}\t{b}\tOK\t ",
                "3.3": f"REQUEST\t{user}\tgroup\tGET /\t{a}\t{b}\tOK\t ",
                "3.10": f"REQUEST\tgroup\tGET /\t{a}\t{b}\tOK\t ",
            }[layout]
        )
        if layout == "3.10":
            rows.append(f"GROUP\tgroup\t{a}\t{b}\t{b}\tOK")
    return "\n".join(rows) + "\n"


def _string(text: str) -> bytes:
    raw = text.encode("latin-1")
    return struct.pack(">i", len(raw)) + (raw + b"\x00" if raw else b"")


def gatling_binary() -> bytes:
    """A simulation log in binary."""
    out = [b"\x00", _string("3.13.1"), _string("pkg.Sim"), struct.pack(">q", BEGINS_MS), _string("")]
    out += [struct.pack(">i", 1), _string("scn"), struct.pack(">i", 1), struct.pack(">i", 3), b"abc"]
    for step, count in enumerate(USERS):
        a, b = step * STEP_S * 1000, (step + 1) * STEP_S * 1000
        out += [struct.pack(">bibi", 2, 0, 1, a) + struct.pack(">bibi", 2, 0, 0, b) for _ in range(count)]
    first = True
    for _, _, start, duration in closed_requests():
        a = int(start - BEGINS_MS)
        group, name, message = (
            (struct.pack(">i", n) + _string(text) if first else struct.pack(">i", -n))
            for n, text in ((1, "group"), (2, "GET /"), (3, ""))
        )
        times = struct.pack(">ii?", a, a + int(duration), True)
        out.append(b"\x01" + struct.pack(">i", 1) + group + name + times + message)
        out.append(
            b"\x03" + struct.pack(">ii", 1, -1) + struct.pack(">iii?", a, a + int(duration), int(duration), True)
        )
        first = False
    return b"".join(out)


def locust_history(*, full: bool, resets: bool, every_s: float = 1.0) -> str:
    """A history with percentiles: of the last seconds where full, else of all since the start or the last reset."""
    header = (
        "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,95%,99%,"
        "Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,"
        "Total Min Response Time,Total Max Response Time,Total Average Content Size"
    )
    rows = [header]
    requests = [(start + duration, duration, step) for step, _, start, duration in closed_requests()]
    ended = np.array([r[0] for r in requests])
    took = np.array([r[1] for r in requests])
    for k in range(1, int(len(USERS) * STEP_S / every_s) + 1):
        at = BEGINS_MS + k * every_s * 1000
        step = min(int((at - BEGINS_MS - 1) // (STEP_S * 1000)), len(USERS) - 1)
        since = BEGINS_MS + step * STEP_S * 1000 if resets else BEGINS_MS
        done = (ended > since) & (ended <= at)
        recent = done & (ended > at - 10_000) if full else done
        tails = [f"{np.quantile(took[recent], q):.0f}" if recent.any() else "N/A" for q in (0.5, 0.95, 0.99)]
        mean, low, high = (took[done].mean(), took[done].min(), took[done].max()) if done.any() else (0, 0, 0)
        line = f"0.0,0.0,{','.join(tails)},{int(done.sum())},0,{mean},{mean},{low},{high},9.0"
        if full:
            rows.append(f"{at / 1000:.0f},{USERS[step]},GET,/,{line}")
        rows.append(f"{at / 1000:.0f},{USERS[step]},,Aggregated,{line}")
    return "\n".join(rows) + "\n"


def locust_requests() -> str:
    """What a listener of the request event writes."""
    rows = ["start_time,request_type,name,response_time_ms,response_length,exception,user_count"]
    rows += [f"{start / 1e3:.6f},GET,/,{took:.3f},9,,{USERS[step]}" for step, _, start, took in closed_requests()]
    return "\n".join(rows) + "\n"


def locust_json() -> str:
    """What --json prints."""
    took = [duration for *_, duration in closed_requests()]
    times: dict[str, int] = {}
    for t in took:
        times[str(round(t))] = times.get(str(round(t)), 0) + 1
    entry = {
        "name": "/",
        "method": "GET",
        "start_time": BEGINS_MS / 1e3,
        "last_request_timestamp": BEGINS_MS / 1e3 + len(USERS) * STEP_S,
        "num_requests": len(took),
        "num_none_requests": 0,
        "num_failures": 0,
        "total_response_time": sum(took),
        "max_response_time": max(took),
        "min_response_time": min(took),
        "total_content_length": 0,
        "response_times": times,
        "num_reqs_per_sec": {},
        "num_fail_per_sec": {},
    }
    return json.dumps([entry], indent=4)


def prometheus_answer(values, *, labels=None, every_s: int = 5) -> str:
    """The answer to a range query."""
    begins = BEGINS_MS // 1000
    pairs = [[begins + k * every_s, "NaN" if v != v else repr(float(v))] for k, v in enumerate(values)]
    result = [{"metric": labels or {}, "values": pairs}]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})

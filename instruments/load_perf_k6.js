// k6 as the peer: `vus` of them that never pause (MODE=closed), or one request at each of constant
// intervals (MODE=arrivals). Reads URL, SECONDS, RATE from the environment.
import http from 'k6/http';

const closed = { executor: 'constant-vus', vus: 20, duration: `${__ENV.SECONDS}s` };
const arrivals = {
  executor: 'constant-arrival-rate',
  rate: Number(__ENV.RATE || 1),
  timeUnit: '1s',
  duration: `${__ENV.SECONDS}s`,
  preAllocatedVUs: 100,
};

export const options = {
  scenarios: { only: __ENV.MODE === 'arrivals' ? arrivals : closed },
  summaryTrendStats: ['med', 'p(95)', 'p(99)'],
};

const params = {
  headers: { apikey: 'k'.repeat(180), Authorization: `Bearer ${'t'.repeat(300)}` },
};

// The same session as the others': as many requests, one after the other.
const clicks = __ENV.MODE === 'arrivals' ? 1 : 5;

export default function () {
  for (let click = 0; click < clicks; click++) {
    http.get(__ENV.URL, params);
  }
}

select state, key, users, seed, sha256, record from phasegate.dataset;

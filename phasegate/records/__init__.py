"""What the rooms hand to each other: versioned records in files under `results/<run-id>/`.

Measurements reach the report as these files and never as objects, so every chart and verdict can
be rebuilt without measuring again. This room knows no other but `model` and `project`.

    run.json                 RunRecord         records/run.py
    seed/<users>.json        SeedRecord        records/seed.py
    load/<stage>.json        LoadRecord        records/load.py
    sampler/<stage>.json     SamplerRecord     records/sampler.py
    matrix.json              MatrixRecord      records/matrix.py
    bench/<users>.json       BenchmarkRecord   records/benchmark.py
    perf.json                PerfRecord        records/perf.py
    target.json              TargetRecord      records/target.py
"""

drop schema if exists phasegate_bench cascade;

-- sql/czar/merge/merge_shapes.sql
-- The constructors of shapes of sql/worker/shape_functions.sql for the czar's DuckDB. The others of its functions are
-- Python's: executor.shape_functions registers them. DuckDB's dialect; every statement can be repeated.
-- Parameters: none.   Returns: nothing.   Used by: executor.merge
CREATE OR REPLACE MACRO qserv_point(ra, "dec") AS
    list_transform([{'r': ra, 'd': "dec"}], lambda v:
        CASE WHEN (v).d BETWEEN -90 AND 90 AND (v).r > '-Infinity'::DOUBLE AND (v).r < 'Infinity'::DOUBLE
             THEN [(v).r, (v).d] END)[1];

CREATE OR REPLACE MACRO qserv_circle(ra, "dec", radius) AS
    list_transform([{'r': ra, 'd': "dec", 's': radius}], lambda v:
        CASE WHEN (v).d BETWEEN -90 AND 90 AND (v).r > '-Infinity'::DOUBLE AND (v).r < 'Infinity'::DOUBLE
                  AND (v).s >= 0 AND (v).s < 'Infinity'::DOUBLE THEN [(v).r, (v).d, (v).s] END)[1];

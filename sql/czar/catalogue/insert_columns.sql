-- sql/czar/catalogue/insert_columns.sql
-- Add the columns of a table, in the order of the arrays.
-- Parameters: table_id (integer); arrays of one element a column: names, physicals, datatypes (text), lengths
-- (integer), nullables, hiddens (boolean), units, ucds, xtypes, descriptions, utypes (text).
-- Returns: nothing.   Used by: registry.databases.add_database
INSERT INTO catalog_column (table_id, place, name, physical, datatype, length, nullable, hidden, unit, ucd, xtype,
                            description, utype)
SELECT %(table_id)s::integer, place, name, physical, datatype, length, nullable, hidden, unit, ucd, xtype, description,
       utype
  FROM unnest(%(names)s::text[], %(physicals)s::text[], %(datatypes)s::text[], %(lengths)s::integer[],
              %(nullables)s::boolean[], %(hiddens)s::boolean[], %(units)s::text[], %(ucds)s::text[],
              %(xtypes)s::text[], %(descriptions)s::text[], %(utypes)s::text[])
       WITH ORDINALITY AS c (name, physical, datatype, length, nullable, hidden, unit, ucd, xtype, description, utype,
                             place);

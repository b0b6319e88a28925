DROP TABLE rollups;
DROP TABLE audit;
DROP TABLE event_types;

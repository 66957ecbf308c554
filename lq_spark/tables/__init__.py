"""Reading and writing tables; the Spark session is passed in."""

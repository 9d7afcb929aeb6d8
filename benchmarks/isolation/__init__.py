"""Does trouble stay where it is: with one part slow or flooded, what of the others?"""

"""What a deep neural network thinks about your #selfie: the library behind the notebooks."""

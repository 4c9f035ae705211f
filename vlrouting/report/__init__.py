def compare(path): print(path)

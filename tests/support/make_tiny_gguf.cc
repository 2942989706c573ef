// Writes a tiny model with random weights, for tests that need a GGUF file the platform has never seen.

#include <cstdlib>
#include <iostream>

#include "tests/support/tiny_gguf.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: make_tiny_gguf FILE SEED\n";
    return 2;
  }
  allod::test::WriteTinyGguf(argv[1], {.seed = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10))});
  return 0;
}

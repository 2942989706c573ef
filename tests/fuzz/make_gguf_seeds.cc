// Writes the seeds into a directory, where libFuzzer takes them as its first corpus.

#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/fuzz/gguf_seeds.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_gguf_seeds DIRECTORY\n";
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  std::filesystem::create_directories(directory);
  int number = 0;
  for (const std::string& seed : allod::test::GgufSeeds()) {
    std::ofstream out(directory / ("seed-" + std::to_string(number++)), std::ios::binary);
    out.write(seed.data(), static_cast<std::streamsize>(seed.size()));
    if (!out.flush()) return 1;
  }
  return 0;
}

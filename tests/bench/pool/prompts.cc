#include <atomic>
#include <string>

#include "tests/bench/pool/benchmarks.h"

namespace allod::bench {

std::string FreshPrompt(int words) {
  static std::atomic<unsigned> number = 0;
  unsigned mixed = ++number * 2654435761U;
  std::string out = std::to_string(mixed % 1'000'000);
  for (int i = 1; i < words; ++i) {
    mixed = mixed * 1664525U + 1013904223U;
    static const char* const kWords[] = {"birth", "tax",  "road",  "school", "water", "farm",   "health", "court",
                                         "child", "land", "river", "market", "price", "permit", "office", "letter"};
    out += ' ';
    out += kWords[mixed >> 28];
  }
  return out;
}

}  // namespace allod::bench

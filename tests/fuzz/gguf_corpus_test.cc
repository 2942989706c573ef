// The fuzz target's properties on generated mutations of its seeds, for builds without libFuzzer: always the same ones.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>

#include "inference/gguf/validate.h"
#include "tests/fuzz/gguf_properties.h"
#include "tests/fuzz/gguf_seeds.h"

namespace allod::test::gguf_corpus_test {
namespace {

std::string Check(const std::string& bytes) { return CheckGgufProperties(std::as_bytes(std::span(bytes))); }

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  // Works where the format is: in the header.
  std::string Mutate(std::string bytes, std::size_t header) {
    for (std::uint64_t changes = random_() % 3 + 1; changes > 0; --changes) {
      const std::size_t at = random_() % header;
      switch (random_() % 7) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random_() % 8)));
          break;
        case 1:
          Put<std::uint32_t>(bytes, at, static_cast<std::uint32_t>(Interesting()));
          break;
        case 2:
          Put<std::uint64_t>(bytes, at, Interesting());
          break;
        case 3:
          bytes.resize(random_() % bytes.size() + 1);
          break;
        case 4:
          bytes.insert(at, bytes.substr(random_() % header, random_() % 64));
          break;
        case 5:
          bytes.erase(at, random_() % 16);
          break;
        default:
          Put<std::uint8_t>(bytes, at, static_cast<std::uint8_t>(random_() % 13));  // another type, often
      }
      header = std::min(header, bytes.size());
      if (header == 0) break;
    }
    return bytes;
  }

 private:
  std::uint64_t Interesting() {
    constexpr std::uint64_t kNumbers[] = {
        0,       1,          2,          3,          7,          8,          31,         32,    255,       1 << 16,
        1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 40, 1ULL << 62, 1ULL << 63, ~0ULL, ~0ULL - 31};
    return kNumbers[random_() % std::size(kNumbers)];
  }
  template <typename T>
  static void Put(std::string& bytes, std::size_t at, T value) {
    if (at + sizeof(T) <= bytes.size()) std::memcpy(bytes.data() + at, &value, sizeof(T));
  }

  std::mt19937_64 random_;
};

TEST(GgufCorpus, SeedsAreGood) {
  for (const std::string& seed : GgufSeeds()) {
    EXPECT_EQ(Check(seed), "");
    EXPECT_TRUE(inference::gguf::ValidateGguf(std::as_bytes(std::span(seed))));
  }
}

TEST(GgufCorpus, NoMutationBreaksAProperty) {
  Mutator mutator(20260301);
  for (const std::string& seed : GgufSeeds()) {
    const std::size_t header = inference::gguf::ValidateGguf(std::as_bytes(std::span(seed)))->data_offset;
    for (int i = 0; i < 4000; ++i) {
      const std::string mutation = mutator.Mutate(seed, header);
      ASSERT_EQ(Check(mutation), "") << "mutation " << i << " of a seed of " << seed.size() << " bytes";
    }
  }
}

TEST(GgufCorpus, NoTruncationBreaksAProperty) {
  const std::string seed = GgufSeeds()[1];
  for (std::size_t size = 0; size < seed.size(); ++size) ASSERT_EQ(Check(seed.substr(0, size)), "") << size;
}

}  // namespace
}  // namespace allod::test::gguf_corpus_test

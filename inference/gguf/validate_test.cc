#include "inference/gguf/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/gguf_writer.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::gguf::validate_test {
namespace {

using test::GgufWriter;
using ::testing::HasSubstr;

Result<GgufSummary> Validate(const std::string& bytes, const Limits& limits = {}) {
  return ValidateGguf(std::as_bytes(std::span(bytes)), limits);
}

TEST(ValidateGguf, SummarisesAGoodFile) {
  const std::string bytes = test::TinyGguf();
  const auto summary = Validate(bytes);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->version, 3U);
  EXPECT_EQ(summary->architecture, "llama");
  EXPECT_EQ(summary->name, "Tiny");
  EXPECT_EQ(summary->license, "apache-2.0");
  EXPECT_EQ(summary->tensor_count, 1 + 2 * 9 + 2U);
  EXPECT_EQ(summary->tensors_by_type.at("f32"), summary->tensor_count);
  EXPECT_EQ(summary->file_bytes, bytes.size());
  EXPECT_EQ(summary->context_length, 512U);
  EXPECT_GT(summary->vocabulary_size, 256U);
  EXPECT_TRUE(summary->has_chat_template);
  EXPECT_EQ(summary->parameter_count * 4, summary->data_bytes);  // every size here is a multiple of the alignment
}

TEST(ValidateGguf, ReadsFiles) {
  TempDir directory;
  test::WriteTinyGguf(directory / "tiny.gguf");
  EXPECT_TRUE(ValidateGguf(directory / "tiny.gguf"));
  EXPECT_EQ(ValidateGguf(directory / "none.gguf").error().code, Code::kNotFound);
  EXPECT_EQ(ValidateGguf(directory.path()).error().reason, "GGUF_NOT_A_FILE");
  EXPECT_EQ(ValidateGguf(directory.Write("empty.gguf", "")).error().reason, "GGUF_TRUNCATED");
}

// A small file that a case makes wrong in one way.
GgufWriter Small() {
  GgufWriter writer;
  writer.String("general.architecture", "llama");
  writer.AddF32("a", {4, 2}, std::vector<float>(8));
  writer.AddF32("b", {3}, std::vector<float>(3));
  return writer;
}

struct HostileCase {
  std::string name;
  std::function<std::string()> bytes;
  std::string reason;
  std::string says;
};

std::string With(const std::function<void(GgufWriter&)>& change) {
  GgufWriter writer = Small();
  change(writer);
  return writer.Finish();
}

// Replaces the bytes of `number` at its first place after `behind`.
template <typename T>
std::string Patch(std::string bytes, const std::string& behind, std::size_t skip, T number) {
  const std::size_t at = bytes.find(behind) + behind.size() + skip;
  std::memcpy(bytes.data() + at, &number, sizeof(T));
  return bytes;
}

class HostileGguf : public ::testing::TestWithParam<HostileCase> {};

TEST_P(HostileGguf, IsRefusedWithItsReason) {
  const auto summary = Validate(GetParam().bytes());
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, Code::kInvalidArgument);
  EXPECT_EQ(summary.error().reason, GetParam().reason) << summary.error().message;
  EXPECT_THAT(summary.error().message, HasSubstr(GetParam().says));
}

const std::string kTensorA("\1\0\0\0\0\0\0\0a", 9);  // its length and name, then dimensions, shape, type, offset

INSTANTIATE_TEST_SUITE_P(
    Table, HostileGguf,
    ::testing::Values(
        HostileCase{"Magic", [] { return "GGML" + Small().Finish().substr(4); }, "GGUF_BAD_MAGIC", "no GGUF model"},
        HostileCase{"VersionOne", [] { return With([](auto& w) { w.version = 1; }); }, "GGUF_BAD_VERSION", "version 1"},
        HostileCase{"VersionFour", [] { return With([](auto& w) { w.version = 4; }); }, "GGUF_BAD_VERSION",
                    "version 4"},
        HostileCase{"BigEndian", [] { return With([](auto& w) { w.version = 0x03000000; }); }, "GGUF_BAD_VERSION",
                    "big-endian"},
        HostileCase{"TensorCount", [] { return Patch(Small().Finish(), "GGUF", 4, ~0ULL); }, "GGUF_LIMIT",
                    "tensor count"},
        HostileCase{"KeyCount", [] { return Patch(Small().Finish(), "GGUF", 12, 1ULL << 40); }, "GGUF_LIMIT",
                    "key count"},
        HostileCase{"EmptyKey", [] { return With([](auto& w) { w.U32("", 1); }); }, "GGUF_BAD_KEY", "0 bytes"},
        HostileCase{"LongKey", [] { return With([](auto& w) { w.U32(std::string(300, 'k'), 1); }); }, "GGUF_BAD_KEY",
                    "300 bytes"},
        HostileCase{"KeyWithZero", [] { return With([](auto& w) { w.U32(std::string("a\0b", 3), 1); }); },
                    "GGUF_BAD_KEY", "printable"},
        HostileCase{"KeyTwice", [] { return With([](auto& w) { w.U32("k", 1), w.U32("k", 2); }); },
                    "GGUF_DUPLICATE_KEY", "key k"},
        HostileCase{"ValueType", [] { return With([](auto& w) { w.Key("k", 13); }); }, "GGUF_BAD_VALUE",
                    "unknown type 13"},
        HostileCase{"Boolean", [] { return With([](auto& w) { w.Key("k", 7) += '\2'; }); }, "GGUF_BAD_VALUE", "0 or 1"},
        HostileCase{"StringLength", [] { return With([](auto& w) { GgufWriter::Put(w.Key("k", 8), ~0ULL); }); },
                    "GGUF_LIMIT", "key k"},
        HostileCase{"StringBeyondTheFile",
                    [] { return With([](auto& w) { GgufWriter::Put<std::uint64_t>(w.Key("k", 8), 1 << 20); }); },
                    "GGUF_TRUNCATED", "a metadata string"},
        HostileCase{"ArrayCount", [] { return With([](auto& w) { w.Array("k", 4, ~0ULL); }); }, "GGUF_LIMIT",
                    "an array of"},
        HostileCase{"ArrayBeyondTheFile", [] { return With([](auto& w) { w.Array("k", 4, 1 << 20); }); },
                    "GGUF_TRUNCATED", "an array"},
        HostileCase{"StringArrayBeyondTheFile", [] { return With([](auto& w) { w.Array("k", 8, 1 << 20); }); },
                    "GGUF_TRUNCATED", "array of strings"},
        HostileCase{"ArrayOfArrays", [] { return With([](auto& w) { w.Array("k", 9, 1); }); }, "GGUF_BAD_ARRAY",
                    "one level"},
        HostileCase{"ArrayType", [] { return With([](auto& w) { w.Array("k", 99, 0); }); }, "GGUF_BAD_ARRAY",
                    "element type 99"},
        HostileCase{"AlignmentNoPower", [] { return With([](auto& w) { w.U32("general.alignment", 24); }); },
                    "GGUF_BAD_ALIGNMENT", "power of two"},
        HostileCase{"AlignmentZero", [] { return With([](auto& w) { w.U32("general.alignment", 0); }); },
                    "GGUF_BAD_ALIGNMENT", "power of two"},
        HostileCase{"AlignmentHuge", [] { return With([](auto& w) { w.U32("general.alignment", 1U << 31); }); },
                    "GGUF_BAD_ALIGNMENT", "at most"},
        HostileCase{"AlignmentType", [] { return With([](auto& w) { w.String("general.alignment", "32"); }); },
                    "GGUF_BAD_ALIGNMENT", "uint32"},
        HostileCase{"NoArchitecture", [] { return GgufWriter().Finish(); }, "GGUF_BAD_ARCHITECTURE", "missing"},
        HostileCase{"Split", [] { return With([](auto& w) { w.U32("split.count", 3); }); }, "GGUF_SPLIT", "3 files"},
        HostileCase{"NoLayers", [] { return With([](auto& w) { w.U32("llama.block_count", 0); }); }, "GGUF_BAD_VALUE",
                    "llama.block_count"},
        HostileCase{"ManyLayers", [] { return With([](auto& w) { w.U32("llama.block_count", 100000); }); },
                    "GGUF_BAD_VALUE", "1 to 512"},
        HostileCase{"NameInvalidUtf8", [] { return With([](auto& w) { w.String("general.name", "\xC0\x80"); }); },
                    "GGUF_BAD_VALUE", "general.name"},
        HostileCase{"FewScores",
                    [] {
                      return With([](auto& w) {
                        w.Strings("tokenizer.ggml.tokens", {"a", "b"});
                        w.Numbers("tokenizer.ggml.scores", 6, std::vector<float>{1});
                      });
                    },
                    "GGUF_BAD_VOCABULARY", "1 entries for 2 tokens"},
        HostileCase{"TensorNameLong", [] { return With([](auto& w) { w.tensors[0].name = std::string(64, 'n'); }); },
                    "GGUF_BAD_TENSOR_NAME", "64 bytes"},
        HostileCase{"TensorNameTwice", [] { return With([](auto& w) { w.tensors[1].name = "a"; }); },
                    "GGUF_DUPLICATE_TENSOR", "tensor a"},
        HostileCase{"NoDimensions", [] { return With([](auto& w) { w.tensors[0].shape = {}; }); }, "GGUF_BAD_SHAPE",
                    "0 dimensions"},
        HostileCase{"FiveDimensions", [] { return With([](auto& w) {
                                             w.tensors[0].shape = {1, 1, 1, 1, 1};
                                           }); },
                    "GGUF_BAD_SHAPE", "5 dimensions"},
        HostileCase{"EmptyDimension", [] { return With([](auto& w) {
                                             w.tensors[0].shape = {4, 0};
                                           }); },
                    "GGUF_BAD_SHAPE", "dimension 1 is 0"},
        HostileCase{"NegativeDimension", [] { return With([](auto& w) {
                                                w.tensors[0].shape = {4, ~0ULL};
                                              }); },
                    "GGUF_BAD_SHAPE", "too many"},
        HostileCase{"ProductOverflows",
                    [] { return With([](auto& w) {
                           w.tensors[0].shape = {1ULL << 32, 1ULL << 32, 4};
                         }); },
                    "GGUF_BAD_SHAPE", "too many"},
        HostileCase{"BytesOverflow", [] { return With([](auto& w) { w.tensors[0].shape = {1ULL << 62}; }); },
                    "GGUF_BAD_SHAPE", "not representable"},
        HostileCase{"TensorType", [] { return With([](auto& w) { w.tensors[0].type = 99; }); }, "GGUF_BAD_TENSOR_TYPE",
                    "type 99"},
        HostileCase{"RemovedTensorType", [] { return With([](auto& w) { w.tensors[0].type = 31; }); },
                    "GGUF_BAD_TENSOR_TYPE", "type 31"},
        HostileCase{"RowNoMultipleOfBlock", [] { return With([](auto& w) { w.tensors[0].type = 12; }); },
                    "GGUF_BAD_SHAPE", "block of 256"},
        HostileCase{"OffsetOverlaps",
                    [] { return Patch(Small().Finish(), std::string("\1\0\0\0\0\0\0\0b", 9), 16, 0ULL); },
                    "GGUF_BAD_OFFSET", "tensor b"},
        HostileCase{"OffsetMisaligned", [] { return Patch(Small().Finish(), kTensorA, 24, 7ULL); }, "GGUF_BAD_OFFSET",
                    "tensor a"},
        HostileCase{"OffsetFarAway", [] { return Patch(Small().Finish(), kTensorA, 24, ~31ULL); }, "GGUF_BAD_OFFSET",
                    "tensor a"},
        HostileCase{"DataTruncated",
                    [] {
                      const std::string bytes = Small().Finish();
                      return bytes.substr(0, bytes.size() - 32);
                    },
                    "GGUF_TRUNCATED", "tensor b"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(ValidateGguf, HeaderBoundIsKept) {
  const auto summary = Validate(test::TinyGguf(), {.header_bytes_max = 1000});
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().reason, "GGUF_HEADER_TOO_LARGE");
}

TEST(ValidateGguf, EveryTruncationOfAFileIsRefused) {
  const std::string bytes = Small().Finish();
  ASSERT_TRUE(Validate(bytes));
  // The last tensor has 12 bytes; what follows is padding, which may be missing.
  const std::size_t data_end = bytes.size() - 32 + 12;
  for (std::size_t size = 0; size < data_end; ++size) {
    const auto summary = Validate(bytes.substr(0, size));
    ASSERT_FALSE(summary) << size;
    EXPECT_EQ(summary.error().reason, "GGUF_TRUNCATED") << size;
  }
}

TEST(ValidateGguf, EveryTruncationOfARealHeaderIsRefused) {
  const std::string bytes = test::TinyGguf();
  const std::uint64_t header = Validate(bytes)->data_offset;
  for (std::size_t size = 0; size < header; ++size) {
    ASSERT_FALSE(ValidateGguf(std::as_bytes(std::span(bytes)).first(size))) << size;
  }
}

TEST(ValidateGguf, RandomDamageNeverCrashesIt) {
  const std::string good = test::TinyGguf();
  const std::uint64_t header = Validate(good)->data_offset;
  std::mt19937_64 random(20260101);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (std::uint64_t flips = random() % 4 + 1; flips > 0; --flips) {
      bytes[random() % header] ^= static_cast<char>(1 << (random() % 8));
    }
    const auto summary = Validate(bytes);
    if (summary) {
      EXPECT_LE(summary->data_offset + summary->data_bytes, bytes.size());
    } else {
      ++refused;
      EXPECT_THAT(summary.error().reason, HasSubstr("GGUF_"));
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace allod::inference::gguf::validate_test

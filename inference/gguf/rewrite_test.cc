#include "inference/gguf/rewrite.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "tests/support/gguf_edit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::gguf::rewrite_test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class RewriteTest : public testing::Test {
 protected:
  // What the file's bytes become.
  std::string Canonical(const std::string& bytes) {
    const fs::path source = directory_.Write("source.gguf", bytes);
    const auto written = WriteCanonical(source, directory_ / "canonical.gguf");
    EXPECT_TRUE(written) << written.error().message;
    return Read(directory_ / "canonical.gguf");
  }

  TempDir directory_;
};

TEST_F(RewriteTest, RewritingTwiceChangesNothing) {
  const std::string once = Canonical(test::TinyGguf());
  EXPECT_EQ(Canonical(once), once);
  EXPECT_TRUE(*IsCanonical(directory_ / "canonical.gguf"));
}

TEST_F(RewriteTest, KeepsWhatTheModelIs) {
  const std::string bytes = test::TinyGguf();
  const auto before = ValidateGguf(std::as_bytes(std::span(bytes)));
  const std::string canonical = Canonical(bytes);
  const auto after = ValidateGguf(std::as_bytes(std::span(canonical)));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->architecture, before->architecture);
  EXPECT_EQ(after->name, before->name);
  EXPECT_EQ(after->parameter_count, before->parameter_count);
  EXPECT_EQ(after->vocabulary_size, before->vocabulary_size);
  EXPECT_EQ(after->tensors_by_type, before->tensors_by_type);
  EXPECT_EQ(after->data_bytes, before->data_bytes);
  EXPECT_TRUE(after->has_chat_template);
}

TEST_F(RewriteTest, CarriesEveryTensorsDataToItsNewPlace) {
  const std::string bytes = test::TinyGguf();
  const std::string canonical = Canonical(bytes);
  const auto old_source = MemorySource(std::as_bytes(std::span(bytes)));
  const auto new_source = MemorySource(std::as_bytes(std::span(canonical)));
  const auto before = ReadHeader(*old_source);
  const auto after = ReadHeader(*new_source);
  ASSERT_TRUE(before && after);
  std::map<std::string, std::string> data;
  for (const TensorInfo& tensor : before->tensors) {
    data[tensor.name] = bytes.substr(before->summary.data_offset + tensor.offset, tensor.bytes);
  }
  std::string last;
  for (const TensorInfo& tensor : after->tensors) {
    EXPECT_EQ(canonical.substr(after->summary.data_offset + tensor.offset, tensor.bytes), data.at(tensor.name));
    EXPECT_EQ(tensor.offset % kCanonicalAlignment, 0U);
    last = tensor.name;
  }
  EXPECT_EQ(after->tensors.front().name, "blk.0.attn_k.weight");
  EXPECT_EQ(last, "token_embd.weight");
}

TEST_F(RewriteTest, OrderUnknownKeysVersionAndAlignmentMakeNoDifference) {
  const std::string canonical = Canonical(test::TinyGguf());
  test::GgufEdit other(test::TinyGguf());
  other.version = 2;
  other.String("general.url", "https://example.org/?q=\x01");
  other.String("split.note", "left over");
  other.U32("llama.some_future_number", 7);
  other.Strings("quantize.imatrix.files", {"a", "b"});
  other.U32("general.alignment", 64);
  other.alignment = 64;
  std::ranges::reverse(other.tensors);
  const std::string shuffled = other.Finish();
  ASSERT_NE(shuffled, test::TinyGguf());
  const std::string rewritten = Canonical(shuffled);
  EXPECT_EQ(rewritten, canonical);
  EXPECT_THAT(rewritten, Not(HasSubstr("example.org")));
}

TEST_F(RewriteTest, OneCountForEveryLayerIsWrittenAsOneNumber) {
  const std::string canonical = Canonical(test::TinyGguf());
  test::GgufEdit other(test::TinyGguf());
  other.Numbers<std::int32_t>("llama.attention.head_count_kv", 5, {2, 2});
  EXPECT_EQ(Canonical(other.Finish()), canonical);
}

TEST_F(RewriteTest, LayersAreOrderedByNumber) {
  const std::string canonical = Canonical(test::TinyGguf({.layers = 11}));
  EXPECT_LT(canonical.find("blk.9.attn_k"), canonical.find("blk.10.attn_k"));
  EXPECT_LT(canonical.find("blk.2.ffn_up"), canonical.find("blk.10.attn_k"));
}

TEST_F(RewriteTest, AnyOtherByteInAHeaderIsNotCanonical) {
  const std::string canonical = Canonical(test::TinyGguf());
  const auto header = ValidateGguf(std::as_bytes(std::span(canonical)))->data_offset;
  const auto is_canonical = [](const std::string& bytes) {
    const auto source = MemorySource(std::as_bytes(std::span(bytes)));
    const auto plan = CanonicalPlan::Make(*source);
    return plan && *plan->Matches(*source);
  };
  ASSERT_TRUE(is_canonical(canonical));
  EXPECT_FALSE(is_canonical(canonical + '\0'));
  EXPECT_FALSE(is_canonical(canonical.substr(0, canonical.size() - 1)));
  std::string padded = canonical;
  padded[header - 1] = 1;
  EXPECT_EQ(is_canonical(padded), padded == canonical);
  EXPECT_FALSE(is_canonical(test::TinyGguf()));
}

TEST_F(RewriteTest, LabelsThatAreTooLongAndTokensThatAreNotThereAreLeftOut) {
  test::GgufEdit edit(test::TinyGguf());
  edit.U32("tokenizer.ggml.padding_token_id", 0xffffffff);
  edit.pairs.erase("general.name");
  const std::string without = Canonical(edit.Finish());
  edit.String("general.name", std::string(2000, 'n'));
  EXPECT_EQ(Canonical(edit.Finish()), without);
  EXPECT_THAT(without, Not(HasSubstr("padding_token_id")));
}

TEST_F(RewriteTest, AFailureLeavesTheTargetAsItWas) {
  const fs::path target = directory_.Write("target.gguf", "what was there");
  const fs::path bad = directory_.Write("bad.gguf", "GGUF");
  EXPECT_EQ(WriteCanonical(bad, target).error().reason, "GGUF_TRUNCATED");
  EXPECT_EQ(WriteCanonical(directory_ / "none", target).error().reason, "NOT_FOUND");
  EXPECT_EQ(Read(target), "what was there");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_.path()), {}), 2);
  test::WriteTinyGguf(directory_ / "tiny.gguf");
  EXPECT_EQ(WriteCanonical(directory_ / "tiny.gguf", directory_ / "no" / "folder").error().reason, "WRITE_FAILED");
}

TEST_F(RewriteTest, AFileCanBeRewrittenInPlace) {
  test::WriteTinyGguf(directory_ / "tiny.gguf");
  ASSERT_TRUE(WriteCanonical(directory_ / "tiny.gguf", directory_ / "tiny.gguf"));
  EXPECT_TRUE(*IsCanonical(directory_ / "tiny.gguf"));
}

TEST_F(RewriteTest, ACanonicalFileIsOpenedItselfAndAnyOtherAsASealedCopy) {
  const fs::path foreign = directory_.Write("foreign.gguf", test::TinyGguf());
  const std::string canonical = Canonical(test::TinyGguf());
  for (const auto& [path, is_copy] : {std::pair(foreign, true), std::pair(directory_ / "canonical.gguf", false)}) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const auto file = OpenCanonical(fd);
    close(fd);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->is_copy(), is_copy);
    std::string bytes(canonical.size() + 1, '\0');
    EXPECT_EQ(pread(file->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(canonical.size()));
    bytes.resize(canonical.size());
    EXPECT_EQ(bytes, canonical);
    if (!is_copy) continue;
    EXPECT_EQ(pwrite(file->fd(), "x", 1, 0), -1);
    EXPECT_EQ(ftruncate(file->fd(), 10), -1);
    void* shared = mmap(nullptr, canonical.size(), PROT_READ, MAP_SHARED, file->fd(), 0);
    ASSERT_NE(shared, MAP_FAILED);
    munmap(shared, canonical.size());
  }
}

TEST_F(RewriteTest, TellsWhatATokenCosts) {
  const std::string bytes = test::TinyGguf({.layers = 3});
  const auto source = MemorySource(std::as_bytes(std::span(bytes)));
  const auto model = ReadModel(*source);
  ASSERT_TRUE(model) << model.error().message;
  // Two heads of 16, keys and values of two bytes.
  EXPECT_EQ(model->shape.kv_bytes_per_token(), 3U * 2 * 16 * 2 * 2);
}

}  // namespace
}  // namespace allod::inference::gguf::rewrite_test

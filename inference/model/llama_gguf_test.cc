#include "inference/model/llama_gguf.h"

#include <fcntl.h>
#include <ggml.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "inference/gguf/rewrite.h"
#include "inference/gguf/types.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::model::llama_gguf_test {
namespace {

TEST(TensorTypes, AreThoseOfTheGgmlThatIsLinked) {
  int known = 0;
  for (std::uint32_t id = 0; id < GGML_TYPE_COUNT; ++id) {
    const auto type = static_cast<ggml_type>(id);
    const gguf::TensorType* ours = gguf::FindTensorType(id);
    ASSERT_EQ(ours != nullptr, ggml_blck_size(type) != 0) << id;
    if (ours == nullptr) continue;
    ++known;
    EXPECT_EQ(ours->name, ggml_type_name(type));
    EXPECT_EQ(ours->elements, ggml_blck_size(type)) << ours->name;
    EXPECT_EQ(ours->bytes, ggml_type_size(type)) << ours->name;
  }
  EXPECT_EQ(known, static_cast<int>(gguf::TensorTypes().size()));
}

TEST(ValidateTensorData, AcceptsAGoodModel) {
  TempDir directory;
  test::WriteTinyGguf(directory / "tiny.gguf");
  const Status status = ValidateTensorData(directory / "tiny.gguf");
  EXPECT_TRUE(status) << status.error().message;
}

TEST(ValidateTensorData, NamesTheTensorWithNaN) {
  TempDir directory;
  std::string bytes = test::TinyGguf();
  const float nan = NAN;
  std::memcpy(bytes.data() + bytes.size() - sizeof(nan), &nan, sizeof(nan));
  const Status status = ValidateTensorData(directory.Write("nan.gguf", bytes));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "GGUF_BAD_WEIGHTS");
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("output.weight"));
}

class LoadCheckedModelTest : public testing::Test {
 protected:
  // The text is the tokens' own, so a model that lost or mixed up its vocabulary answers something else.
  static std::vector<llama_token> Tokenise(const llama_model& model, const std::string& text) {
    std::vector<llama_token> tokens(64);
    tokens.resize(static_cast<std::size_t>(llama_tokenize(
        llama_model_get_vocab(&model), text.data(), static_cast<int>(text.size()), tokens.data(), 64, true, false)));
    return tokens;
  }
  static int Threads() {
    return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  }

  TempDir directory_;
};

TEST_F(LoadCheckedModelTest, LoadsACanonicalFileItselfAndAnyOtherThroughACopy) {
  test::WriteTinyGguf(directory_ / "foreign.gguf");
  ASSERT_TRUE(gguf::WriteCanonical(directory_ / "foreign.gguf", directory_ / "canonical.gguf"));
  const auto foreign = LoadCheckedModel(directory_ / "foreign.gguf");
  const auto canonical = LoadCheckedModel(directory_ / "canonical.gguf");
  ASSERT_TRUE(foreign) << foreign.error().message;
  ASSERT_TRUE(canonical) << canonical.error().message;
  EXPECT_TRUE(foreign->is_copy);
  EXPECT_FALSE(canonical->is_copy);
  EXPECT_EQ(FactsOf(*foreign->model).parameters, FactsOf(*canonical->model).parameters);
  EXPECT_EQ(Tokenise(*foreign->model, "the nation"), Tokenise(*canonical->model, "the nation"));
}

TEST_F(LoadCheckedModelTest, WorksFromADescriptorOfAFileThatIsGoneAndLeavesNoThread) {
  for (const bool make_canonical : {false, true}) {
    for (const bool private_weights : {false, true}) {
      const std::filesystem::path path = directory_ / "model.gguf";
      test::WriteTinyGguf(path);
      if (make_canonical) {
        EXPECT_TRUE(gguf::WriteCanonical(path, path));
      }
      const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      lseek(fd, 100, SEEK_SET);
      std::filesystem::remove(path);
      const int threads = Threads();
      const auto loaded = LoadCheckedModel(fd, {.private_weights = private_weights});
      ASSERT_TRUE(loaded) << loaded.error().message;
      close(fd);
      EXPECT_EQ(Threads(), threads);
      EXPECT_EQ(FactsOf(*loaded->model).layers, 2);
      EXPECT_EQ(loaded->file.shape.layers, 2U);
    }
  }
}

TEST_F(LoadCheckedModelTest, RefusesBeforeLlamaSeesTheFile) {
  test::GgufEdit edit(test::TinyGguf());
  edit.U32("llama.attention.head_count_kv", 3);
  const auto loaded = LoadCheckedModel(directory_.Write("bad.gguf", edit.Finish()));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().reason, "GGUF_BAD_HYPERPARAMETERS");
  EXPECT_EQ(LoadCheckedModel(directory_ / "none").error().code, Code::kNotFound);
}

TEST(ValidateTensorData, ChecksTheHeaderFirst) {
  TempDir directory;
  EXPECT_EQ(ValidateTensorData(directory.Write("x.gguf", "GGUF")).error().reason, "GGUF_TRUNCATED");
}

}  // namespace
}  // namespace allod::inference::model::llama_gguf_test

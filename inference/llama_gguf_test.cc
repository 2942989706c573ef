#include "inference/llama_gguf.h"

#include <ggml.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "inference/gguf/types.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference {
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

TEST(ValidateTensorData, ChecksTheHeaderFirst) {
  TempDir directory;
  EXPECT_EQ(ValidateTensorData(directory.Write("x.gguf", "GGUF")).error().reason, "GGUF_TRUNCATED");
}

}  // namespace
}  // namespace allod::inference

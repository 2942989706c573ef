#include "services/common/rpc/path_template.h"

#include <gtest/gtest.h>

namespace allod::path_template_test {
namespace {

using Bindings = PathTemplate::Bindings;

TEST(PathTemplate, MatchesByTable) {
  struct Row {
    const char* path_template;
    const char* path;
    std::optional<Bindings> expected;
  };
  const Row table[] = {
      {"/v1/models", "/v1/models", Bindings{}},
      {"/v1/models", "/v1/models/", std::nullopt},
      {"/v1/{name=tenants/*}", "/v1/tenants/ke", Bindings{{"name", "tenants/ke"}}},
      {"/v1/{name=tenants/*}", "/v1/tenants/ke/projects", std::nullopt},
      {"/v1/{name=tenants/*}", "/v1/tenants/", std::nullopt},
      {"/v1/{parent=tenants/*/projects/*}/instances", "/v1/tenants/ke/projects/p/instances",
       Bindings{{"parent", "tenants/ke/projects/p"}}},
      {"/v1/{instance.name=tenants/*}", "/v1/tenants/k%65", Bindings{{"instance.name", "tenants/ke"}}},
      {"/v1/{name=tenants/*}", "/v1/tenants/k%2Fe", std::nullopt},
      {"/v1/{name=tenants/*}", "/v1/tenants/k%zz", std::nullopt},
      {"/v1/{name=keys/*}:revoke", "/v1/keys/a:revoke", Bindings{{"name", "keys/a"}}},
      {"/v1/{name=keys/*}:revoke", "/v1/keys/a", std::nullopt},
      {"/v1/{name=operations/**}", "/v1/operations/a/b", Bindings{{"name", "operations/a/b"}}},
      {"/v1/{name=operations/**}", "/v1/operations", std::nullopt},
      {"/v1/{id}", "/v1/x", Bindings{{"id", "x"}}},
  };
  for (const Row& row : table) {
    const auto parsed = PathTemplate::Parse(row.path_template);
    ASSERT_TRUE(parsed) << row.path_template;
    EXPECT_EQ(parsed->Match(row.path), row.expected) << row.path_template << " on " << row.path;
  }
}

TEST(PathTemplate, RefusesBrokenTemplates) {
  for (const char* text : {"v1", "/v1//x", "/v1/{name", "/v1/{a={b}}", "/v1/{name=**}/x", "/v1/a*", "/v1/x:"}) {
    EXPECT_FALSE(PathTemplate::Parse(text)) << text;
  }
}

TEST(PathTemplate, FillsInWhatItTakesApart) {
  struct Row {
    const char* path_template;
    const char* value;
    std::optional<std::string> path;
  };
  const Row table[] = {
      {"/v1/{name=tenants/*}", "tenants/ke", "/v1/tenants/ke"},
      {"/v1/{name=tenants/*}", "tenants/k é", "/v1/tenants/k%20%C3%A9"},
      {"/v1/{name=tenants/*}", "tenants/ke/projects/p", std::nullopt},
      {"/v1/{name=tenants/*}", "projects/ke", std::nullopt},
      {"/v1/{name=tenants/*}", "tenants/", std::nullopt},
      {"/v1/{name=tenants/*}", "", std::nullopt},
      {"/v1/{parent=tenants/*/projects/*}/instances", "tenants/ke/projects/-", "/v1/tenants/ke/projects/-/instances"},
      {"/v1/{name=keys/*}:revoke", "keys/a:b", "/v1/keys/a%3Ab:revoke"},
      {"/v1/{name=operations/**}", "operations/a/b/c", "/v1/operations/a/b/c"},
      {"/v1/{name=operations/**}", "operations", std::nullopt},
      {"/v1/models", "", "/v1/models"},
      {"/v1/*", "", std::nullopt},
  };
  for (const Row& row : table) {
    const auto parsed = PathTemplate::Parse(row.path_template);
    ASSERT_TRUE(parsed) << row.path_template;
    const auto filled = parsed->Fill([&](const std::string&) { return row.value; });
    EXPECT_EQ(filled, row.path) << row.path_template << " with " << row.value;
    if (!filled || parsed->variables().empty()) continue;
    const auto matched = parsed->Match(*filled);
    ASSERT_TRUE(matched) << *filled;
    EXPECT_EQ(matched->front().second, row.value);
  }
}

}  // namespace
}  // namespace allod::path_template_test

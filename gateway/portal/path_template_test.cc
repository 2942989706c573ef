#include "gateway/portal/path_template.h"

#include <gtest/gtest.h>

#include "gateway/portal/openapi.h"

namespace allod::gateway::portal::path_template_test {
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

TEST(PathTemplate, BecomesAnOpenApiPath) {
  EXPECT_EQ(OpenApiPath(*PathTemplate::Parse("/v1/{name=tenants/*/projects/*/apiKeys/*}:revoke")),
            "/v1/tenants/{tenant}/projects/{project}/apiKeys/{apiKey}:revoke");
}

}  // namespace
}  // namespace allod::gateway::portal::path_template_test

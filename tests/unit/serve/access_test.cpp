#include "serve/access.h"

#include <gtest/gtest.h>

#include <fstream>

#include "serve/routes.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::serve {
namespace {

Access with_token(const std::string& line) {
  const Scratch scratch;
  std::ofstream(scratch.path("token")) << line;
  return Access::from_file(scratch.path("token"));
}

TEST(Access, WithoutATokenEverybodyMayAsk) {
  EXPECT_TRUE(Access().allows("", ""));
}

TEST(Access, TheTokenComesAsAHeaderOrAsAProtocol) {
  const Access access = with_token("s3cret/token+\nsecond line\n");
  EXPECT_TRUE(access.allows("Bearer s3cret/token+", ""));
  EXPECT_TRUE(access.allows("bearer s3cret/token+", ""));
  EXPECT_TRUE(access.allows("", "cachectl, bearer.czNjcmV0L3Rva2VuKw"));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer s3cret/token", "Bearer s3cret/token++",
                            "Basic s3cret/token+", "s3cret/token+"}) {
    EXPECT_FALSE(access.allows(wrong, "")) << wrong;
    EXPECT_FALSE(access.allows("", wrong)) << wrong;
  }
  EXPECT_FALSE(access.allows("", "bearer."));
  EXPECT_FALSE(access.allows("", "bearer.s3cret/token+"));
}

TEST(Access, ATokenThatIsNoneIsRefused) {
  expect_error([] { with_token(""); }, ExitCode::kCannotOpen, "no token");
  expect_error([] { with_token("short\n"); }, ExitCode::kUsage, "8 characters");
  expect_error([] { with_token("two words here\n"); }, ExitCode::kUsage, "no blanks");
  expect_error([] { Access::from_file("/nowhere/token"); }, ExitCode::kCannotOpen, "token");
}

TEST(Access, PagesOfOthersAreTold) {
  EXPECT_TRUE(same_origin("http://127.0.0.1:8080", "127.0.0.1:8080"));
  EXPECT_FALSE(same_origin("http://evil.example", "127.0.0.1:8080"));
  EXPECT_FALSE(same_origin("null", "127.0.0.1:8080"));
  EXPECT_FALSE(same_origin("http://127.0.0.1:80801", "127.0.0.1:8080"));
}

TEST(Routes, AreTheProtocols) {
  EXPECT_EQ(route_of("/", "m"), Route::kDashboard);
  EXPECT_EQ(route_of("/?token=x", "m"), Route::kDashboard);
  EXPECT_EQ(route_of("/v2", "m"), Route::kServer);
  EXPECT_EQ(route_of("/v2/health/live", "m"), Route::kLive);
  EXPECT_EQ(route_of("/v2/models/m", "m"), Route::kModel);
  EXPECT_EQ(route_of("/v2/models/m/ready", "m"), Route::kModelReady);
  EXPECT_EQ(route_of("/v2/models/m/infer", "m"), Route::kInfer);
  EXPECT_EQ(route_of("/v2/models/m/versions/1/infer", "m"), Route::kInfer);
  EXPECT_EQ(route_of("/v2/models/m/stream", "m"), Route::kStream);
  for (const char* none :
       {"", "/v2/models", "/v2/models/mm/infer", "/v2/models/x/infer",
        "/v2/models/m/versions/2/infer", "/v3", "/v2/models/m/infer/", "/../etc"}) {
    EXPECT_EQ(route_of(none, "m"), Route::kNone) << none;
  }
}

}  // namespace
}  // namespace cachectl::serve

/** The ways to sign in: an OpenID Connect provider. Replace it by those of your site. */

export const providers = [
  {
    id: "sso",
    name: "Single sign-on",
    type: "oidc" as const,
    issuer: process.env.SSO_ISSUER!,
    clientId: process.env.SSO_CLIENT_ID!,
    clientSecret: process.env.SSO_CLIENT_SECRET!,
  },
];

CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE blob (
    id character varying(32) NOT NULL,
    owner_id bigint NOT NULL,
    size bigint NOT NULL,
    sealed_size bigint NOT NULL,
    segment_size bigint NOT NULL,
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    header bytea NOT NULL,
    sealed bytea,
    created_at bigint NOT NULL
);
CREATE TABLE job (
    id bigint NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    run_at bigint NOT NULL,
    claim text,
    last_error text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT ck_job_state CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'failed'::text])))
);
CREATE SEQUENCE job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE job_id_seq OWNED BY job.id;
CREATE TABLE lock (
    token text NOT NULL,
    owner_id bigint NOT NULL,
    resource_id bigint NOT NULL,
    path text NOT NULL,
    path_key text NOT NULL COLLATE pg_catalog."C",
    is_on_collection boolean NOT NULL,
    scope text NOT NULL,
    is_deep boolean NOT NULL,
    owner_xml text NOT NULL,
    user_id bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT ck_lock_scope CHECK ((scope = ANY (ARRAY['exclusive'::text, 'shared'::text])))
);
CREATE TABLE property (
    owner_id bigint NOT NULL,
    resource_id bigint NOT NULL,
    namespace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    xml text NOT NULL
);
CREATE TABLE recurring (
    kind text NOT NULL,
    due_at bigint NOT NULL,
    caused_at bigint
);
CREATE TABLE resource (
    owner_id bigint NOT NULL,
    id bigint NOT NULL,
    parent_id bigint,
    name text NOT NULL,
    name_key text NOT NULL COLLATE pg_catalog."C",
    revision_id bigint,
    created_at bigint NOT NULL,
    modified_at bigint NOT NULL,
    CONSTRAINT ck_resource_not_in_itself CHECK ((id <> parent_id))
);
CREATE TABLE revision (
    owner_id bigint NOT NULL,
    id bigint NOT NULL,
    blob_id character varying(32) NOT NULL,
    size bigint NOT NULL,
    etag text NOT NULL,
    content_type text NOT NULL,
    checksums text NOT NULL,
    created_at bigint NOT NULL,
    verdict text NOT NULL,
    signature text,
    signature_version text COLLATE pg_catalog."C",
    scanned_at bigint,
    CONSTRAINT ck_revision_verdict CHECK ((verdict = ANY (ARRAY['clean'::text, 'infected'::text, 'released'::text, 'waiting'::text, 'too_large'::text, 'failed'::text, 'no_scanner'::text, 'empty'::text])))
);
CREATE TABLE trash_entry (
    owner_id bigint NOT NULL,
    resource_id bigint NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL,
    replaced_id bigint,
    discarded_at bigint NOT NULL,
    purge_at bigint NOT NULL
);
CREATE TABLE tree (
    owner_id bigint NOT NULL,
    version bigint NOT NULL,
    next_id bigint NOT NULL,
    used_bytes bigint NOT NULL,
    CONSTRAINT ck_tree_used_bytes CHECK ((used_bytes >= 0))
);
CREATE TABLE upload (
    blob_id character varying(32) NOT NULL,
    owner_id bigint NOT NULL,
    reserved_bytes bigint NOT NULL,
    started_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE users (
    id bigint NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL COLLATE pg_catalog."C",
    email text,
    password_hash text NOT NULL,
    credential_version bigint NOT NULL,
    is_admin boolean NOT NULL,
    disabled_at bigint,
    quota_bytes bigint,
    trash_retention bigint,
    hides_trash boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE SEQUENCE users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE users_id_seq OWNED BY users.id;
ALTER TABLE ONLY job ALTER COLUMN id SET DEFAULT nextval('job_id_seq'::regclass);
ALTER TABLE ONLY users ALTER COLUMN id SET DEFAULT nextval('users_id_seq'::regclass);
INSERT INTO alembic_version (version_num) VALUES ('0001');
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('1df8e344e76a07a2addc730827007d66', 1, 300, 356, 4096, 'first', '\x32f118eb737d301f1bff6041f2ba9ce924e8f3a02184dbbe24d2c357a598e05a1e7bf0c7c26cb5d3fcb92fd670d62305ef70ae90bb51c1da1a203dbf', '\x28c19a64778c0026bc913e810624e3f13b96daa70dc119e83d7745770d42d77e399a4011f2c219df', '\x28c19a64778c0026bc913e810624e3f13b96daa70dc119e83d7745770d42d77e399a4011f2c219df84037cb995c45bd14e8784e7f515f114329dcdcf0c766b4e535e20ea6bbc5e832beaa201ac8b1d876ec55769e5602e11798103dbeab41c4da211fa9856f49fe8920896a6235c2fa8d39e75864d146ea7cecf6e1950370d4fd2ce8d479da3f1f977a8b418e1bb7330bf677055873654c6136481bdb8733ba57fc04c4bd8ea3b0dfbd10d50e2525ed54d002d6785811aa7418dab9f8241a87a9945ac7e27560863165fefa1e3b841f2e279630c282aa376c4f404599e3ebee55a2ca3340d08111515a2caaacdebf4523f35ec97cc70fba171b0b022d62dcd89f6f77c1d317e642e6ad3b959a2e3d65733feacb6a15a8bf6537f003037467fff0d39e184c76e87191f01f104130461501efe65ae8c8ba06f1ceec97a54ae6f1a817283d0de0021ace2b7951ca18bfb0f635071ba83a58ca7e09a7ea0ea15cf9320ceb5e6', 1795616402543149);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('9febe243a4ed2aa32f4ccc0f0561b32f', 1, 0, 56, 4096, 'first', '\x25c0f6153dde9413021e8106cad8f589e6d076cc8a75865c576da81f568a553e330e930fac8582c4cde48133cb48613f941a875c4ab90baf9422282c', '\x285cbf03116eda1995a908a601b5d7583d445cd1baf2d6483543ff8d8fee6a1b548fe8584ed3c96f', '\x285cbf03116eda1995a908a601b5d7583d445cd1baf2d6483543ff8d8fee6a1b548fe8584ed3c96fc560b9e147954cedcb87ddc1b60987e9', 1795616402583866);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('5ee59255ce2eb64f5f2dc24eed55cfc2', 1, 700, 756, 4096, 'first', '\x4238530053c933c1ca275cba183eedf1a04486c5cabf9c777389c35540ec9d2406fea3fa9e7f2c5d58a7a9c40719897cf72e8de4c35e074aa4015bbc', '\x2812af5b83a22eeb210a85871ec97ab3ee43a1f22e119c9cb9129761f4c9b5144459e669c602b143', '\x2812af5b83a22eeb210a85871ec97ab3ee43a1f22e119c9cb9129761f4c9b5144459e669c602b143b6446c202dbe2fac9b056b7ef297069093d94b3f9a404ff322dc28a13afb8225bcb0e170cf7b6ccd3cb050b9a542277a8601b7d59ebab8aad7949839136bb40ef099ebf3de43cf286c006873cfc61524281effbc65beb2d1efc4f97f09cceb6699dae8ffb480b631d7c7cc923ee96ee45b4a5dbb5175d5eb0fc3331cc045e243aa5872b077ca3e2a50aaf81877a20329b761e871baa66ebf57b7095123f97e0dfb99154bedb760226177b16554a4fd599bbea14fa8bb23967ff7b9254e764d2d1000f8de49f031ba8c3728054423226b60ad345f16d818ac1469bc9b48697b3680bda525e0a833faf14d1acae90094d5c532f5294a91696fc7eef7cc9bb49ceaebf1df0693d8f731cc14bbe50437c62e3248e17472c04bc829cf1fe982faa1ade99f3699c10e20e8d7064ac594d4a6f754aeeae5e5d97abc6d753361b742e2d7ddbf3b35f3ea3e30b0d7b1bb51e0bbacbc2882c2a3c545d995c76145e7f50bf729d46dc7c71320f4c82a259fd18e3daf9d1426656e038102314a3500d714deadd8d1dfd42622a814aea927bf677757306e5efce808c21f09eb7ec0273f94868faf6dc13cc0ebf28cc23f04127e6326d64d5a50054c7efda74c3d124695e9105078d02fa02b89c11f6e10a87cdea098eda7ace706d29cbbe34c33367c7b2e29def4a22bd3f8c64819ba9667efdee9e1d0fd45af0cf643e896d86f099ff9959c9537122c9eb5f482324c52c0243dd87f740ec4ef911632aca1ec993010352fc49bdc2d783b933941a36c51bfd94e48ce3e98693834c1ff16197cf3fd6d27d06093ce06bbd9ec039ac72868004528fa68020e0f7b57113997b463280f462966d75553fa8f92561660ee55f8c2c207df14be8b7880c07b5bcc81526062ddb21248849c64f3937504d4494de5dfceab1ea75534d6d8afca3563c780789fb9075f5c0d39a50853905881cbea1402bb90a674ec01b2342c74f2f52e923de0b510f200b0bbd85a1ce54900c9020a69c8', 1795616402604746);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('7e9e61e722fc694e95c630374e31f0a9', 1, 20000, 20120, 4096, 'first', '\x82f378e82d14a0e4f5a11d8e2f1edea42c64f6a502aa1d5148efe330c2914a9c7848036c1d18ce6aa6799b5b6c0a0b07021e6ce7ed794554ffb61c0d', '\x28042daaea4cb8f4471975c56d12b8ce9e0947d5625d0c985f01719995479343254c0e96910fe56f', NULL, 1795616402687002);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('83c1a0c77d47d965e919c46bc85274f1', 1, 12289, 12393, 4096, 'first', '\x305cfa891979e304695fdf41ce8cc08bb03b8f711e2b88f6c2f4f337c07db33ad28ea952f62c53200fe60de373b5d3f36acc39a813b0b64b7a189172', '\x286f749473f8104e69d32efd247e36eb76e6b1d348ce700f71c4aaf67f4022cd6a05315c86bbb270', NULL, 1795616402726224);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('d01476ad25fb497bd6df6b466d8837fe', 1, 100, 156, 4096, 'first', '\x86956070dcc7ef157e8940520b511c1d6a680d333868194508623a2ad5200a97dd489a424523866c6f99d0250ecd3eabf06cce1f9380e7163007a83d', '\x28345bb841ba0d337f0516fb4c26eed12ee3f13352df47d2ff030478ca72682e1efaaf554993f8e6', '\x28345bb841ba0d337f0516fb4c26eed12ee3f13352df47d2ff030478ca72682e1efaaf554993f8e6c892a886f3aca525f54fc0005e0c87b5a273b893a3037da9a258931de16e8fc141a8682b02e084c15d30546226189783b67243800e39d51310f5c184354cec85ed2d2851b03968dc2be112886ce633f2fd990df8e73d7e8768d5c0e838b3685d61529c5d023c0f6bda6cb0ee722e4fb83bf69365', 1795616402745222);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('1239a7aa2509215ffea6446f8a08308f', 1, 8192, 8280, 4096, 'first', '\xfd911e84dac534c7605f2bd248ed1fbef9bf22002c85b9ec26d47b04de5e65744a9bb8488c3c81ad366dacb235467b759b64ab100a39166249171c53', '\x28267e0811d19fdd3b9c4464b6bd1b9f30ddae213c84e7cd02b3644449f6bbbfb737abb2cf39b681', NULL, 1795616402762872);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('7b393a18b3ac77334ccaddb05d396d9e', 1, 50, 106, 4096, 'first', '\x260d301663d88495281b2b8cce1f5eae98106e21fd85221f57739a17182eb3650f8c3b6813a9faeb354e40295d5b71346c6f9e410bae35cc8575c9c9', '\x280796f593a65b19442387ea974beca497b3d2814e3a0ec803fe631b552e52b5daf2d41c40f13b04', '\x280796f593a65b19442387ea974beca497b3d2814e3a0ec803fe631b552e52b5daf2d41c40f13b04d7d47114c5484cadbeb1344d2defa7435abc12654ac5c8e704fb8af618141829675031341085cee1b73b2621a44fcc9e2929d39dff74fdc0c7f7bb33f7be44077d6a', 1795616402805372);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('7a81f75aa7de199e3d55efb303b62567', 1, 10, 66, 4096, 'first', '\x411c6d1a9b696055759598dea7a52b5051fd2881dd946c8ba1cfc96c4169a5962a593e0bb60ae9a6fdfd91de9f95d580129391d625177449baf831aa', '\x282ed4b967ec07da1d3db08f5a2cc93db01ff09a3053e88e9098cf2ad96cfd53ea4d742dd83f88c3', '\x282ed4b967ec07da1d3db08f5a2cc93db01ff09a3053e88e9098cf2ad96cfd53ea4d742dd83f88c30267ce2f0ab463c112d92e4ca8f0ca017c36e8de407a5bc1e668', 1795616402825385);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('9c64dfb77f0d5a1b62d132fba848b613', 1, 2000, 2056, 4096, 'first', '\xd65e4006aabe3d19271c402e9d83c926670a6c5db0df6899802f03524af062f7c0974b83f0f5e8a19d36e7fc1d252ef27a9d0ca8b75f9057b1e494da', '\x28455a4800d7db9ed14eb46e0fc1fb02cebb74e80eb8eb18d40d39869e96286bda0f2fa8d741b5ad', NULL, 1795616402915863);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('691179840143f4d1ebb699829e46d013', 1, 300, 356, 4096, 'first', '\x0b19efc1704372f33a7b2cbf12338d50c2c942bbb9da528424e38473f6af0c9baea75dc7b7469342902eb6f3bfe4fd5fec328bb40c156c41a1985224', '\x2876340215368108606c4b88bbb1981f0711c6137dd1e3c6d9487d3f079503cb7072f76daced7ee1', '\x2876340215368108606c4b88bbb1981f0711c6137dd1e3c6d9487d3f079503cb7072f76daced7ee14a2d98ce97ac7740a15bb30997f4b87fc649414f8eb211d5150505bcfdc8e51f6070d85bea74808929252021d139fc3d93a10df3dfb6433b57156b8f8c63c222c275e9048b0e9e222b3aef7ae47de12499b966d0ec5413f010fb8d18b922701526eb167406df9a16a6f499fa35df3bbc8684ad3060cca6adfec2c9522f1fdffa7881638573d7d3acbc5bd7637cdb48f4f66b3b285102665d6644be0767922d571188008bb55ae950bbe4fd21da7e58067930fe24fef2eb549b640ac67e82ea2912ffd73caa1e774e0caa3a1a50e5f9ebdbb2faccc049d282fd2ad36c1dce5c13af5393976ff1e4746500b538872e4ba1738c7d38968ea9a5d785d3e990edf5b9cdf40c4671b9c6debcbabf7fe4f9fda868ebb95f11c06d9a2f3436d244c691bed1e100899c2685226fec79db253ead763f884e238a9207d73d06e3b1', 1795616402962471);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('0492a942f9b5c3a9108bbd7c43f13276', 1, 3000, 3056, 4096, 'first', '\x82d42f385ae44e1abbf4ce0ed11e1fbd79581d88088687b5d40423f067423496d7d6585bfe6de10ee128825d776c7d8e5cca75789bb0a783415611fe', '\x280bb0431e519b62f29b22e00859026e1582e721710833f0ae1aba6262a76de3454985869403a4b8', NULL, 1795616403009996);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('2bf585f3c895086cb52afe0c320471e6', 2, 900, 956, 4096, 'first', '\xbf5cc8ef4eb2e70e5a9dd7e506f0e4c990f6f809f1de41adedb692b352d96f564713937b0e380c72e36aa1533d7832ab59f385cb136dc35f69463732', '\x284b3c8f40410d4bf19c2b75a8f9debd84af930133203c0c4665a57765b6090b75104cdfb3fba91e', '\x284b3c8f40410d4bf19c2b75a8f9debd84af930133203c0c4665a57765b6090b75104cdfb3fba91eff5c010aa21139da04473649e7f612c950c98e2cbb6e1674e884a134705ce0b4d15b291727f5071f91b1f9f8583e04dc6e21406b961006941da3317c543fe70fd18a17778b60815a72f6aa9aea5410f301c24be7df8e416d99bbc4e785dd79c7d63ada940d26d20cb9aec3a57cbc23482f13d61cd8bb8c03440362a16222932a55c06fd6431677e434548541b186b8cd208721dc4e00c98afba5d9ccd7a2b6f1a90c0cbeb164bab95ce60c1409526ed757966f18833343040ff64ad014d353bbd8d96c66fd44473e3841d08111ef1a351c627613904cb6d0123439a602d61b7e682023aec4b922cc8e7e3928f4ad8975220b569513e0692aa3825f8d37522e5baae38ec9875a0841147b58c9213de8d05f5b14ca26a8ea1a0bdabdf2743b1d3d670d082a9c764e8e6685288a27886ffe6ece30c58ee1688d949945b7b334e368e897dc44c603603f518fd9222068a5519d97a6c25dfef0be476106879a0a75389913b941b0a2024f9724607cb470d9ed9fc4be1c42fd3efc3490d77ced0b22d3ec28c55bb810c63a0673b275e383fe47a3e586424a1e8f00a8248fbf564069f410b5c16fae263cc5509bff2ddbac56a0464375c3ca095688893f2c54280a58a66785713f589b9e4af2b97dce23ab4dd827303e1ff376c32febb4e0b1d7b07edd1789e4cbb48d1aa1be973102002be0e72981de76261fd1e12e0123b7bb770ef65355e0ae56be42d2aec39fc88435aa6eb1057aaab73186fae99b7c3dda6322991cb294d8e3d1eb9c5fca93448bdfbf6e3eb5569b880ace198fc390b5f448b21ffdf1d3e400a6645ae242f330dd706fe1f84fe0b505cc650f3edb8f82830a61e67f4266e1039635627289c7c992ab6f7bf547f8dca9ac9d56aabec33e7017eeaea7a8016393b08e0f6070298defc7fea53c32cb6aeacd937d5658fd2b7cb86812715a70ab9c24263456756e36072c509cada3dd34a6a580d51b367a0e17fc401117f28d9ece192ebabb7bd06341a6e2a8a654ff82f6a46a5084e7a171c268eedc02dced7c780aadd598c2d5272ea49b08aefdc8767b70eaab463dabdfd10642633abd24ac32296e162a8d1dbcab56ea697ce65cf2c91cd3271de58f33853791ebb87e6f918bc8b66347bc811e30f4192889e2c6fe78c5499cb24837aa127b93abc7b5ae4f075ac919fa81a70034c6d21f21029ae6f23af3aaac957812d910232215d59f686978a32ae207bb9c4a4cb294ac560ad2db39c04f65e3386654157ec22c60f270b9b485442a58e2c3ae5b94e1c176ce6a', 1795616403428897);
INSERT INTO blob (id, owner_id, size, sealed_size, segment_size, key_id, wrapped_key, header, sealed, created_at) VALUES ('5f13199f89887954a084bf1dc31d4d55', 2, 9000, 9088, 4096, 'first', '\xf0a7ccd5800fc1130ad45cec82867d545cc45897f6860efeb18c4dcba847904ef6696743763a38eccdc36780eeccb849b7978973e82500eb6f36fc78', '\x28b3ada6f5640ac0601f7c4d277a21157b7787350169b5b9a870206062a4d4c2a1facc3faa030e99', NULL, 1795616403488694);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (1, 'scan', '{"owner_id":1,"revision_id":11}', 'waiting', 0, 1795616413919032, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402543149);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (2, 'scan', '{"owner_id":1,"revision_id":17}', 'waiting', 0, 1795616414585778, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402604746);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (3, 'scan', '{"owner_id":1,"revision_id":20}', 'waiting', 0, 1795616411555761, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402687002);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (4, 'scan', '{"owner_id":1,"revision_id":23}', 'waiting', 0, 1795616414263387, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402726224);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (5, 'scan', '{"owner_id":1,"revision_id":26}', 'waiting', 0, 1795616414552524, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402745222);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (6, 'scan', '{"owner_id":1,"revision_id":29}', 'waiting', 0, 1795616410641203, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402762872);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (7, 'scan', '{"owner_id":1,"revision_id":32}', 'waiting', 0, 1795616411241338, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402805372);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (8, 'scan', '{"owner_id":1,"revision_id":35}', 'waiting', 0, 1795616414340104, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402825385);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (9, 'scan', '{"owner_id":1,"revision_id":38}', 'waiting', 0, 1795616413037878, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402915863);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (10, 'scan', '{"owner_id":1,"revision_id":41}', 'waiting', 0, 1795616412359398, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616402962471);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (11, 'scan', '{"owner_id":1,"revision_id":44}', 'waiting', 0, 1795616413118998, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616403009996);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (12, 'scan', '{"owner_id":2,"revision_id":4}', 'waiting', 0, 1795616411801320, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616403428897);
INSERT INTO job (id, kind, payload, state, attempts, run_at, claim, last_error, created_at) VALUES (13, 'scan', '{"owner_id":2,"revision_id":7}', 'waiting', 0, 1795616411061381, NULL, 'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused', 1795616403488694);
INSERT INTO lock (token, owner_id, resource_id, path, path_key, is_on_collection, scope, is_deep, owner_xml, user_id, created_at, expires_at) VALUES ('urn:uuid:36e2b753-7ace-48fc-905d-67b962fbecc3', 1, 3, '/letters', '/letters', true, 'exclusive', true, '<D:owner xmlns:D="DAV:"><D:href>mailto:ada@example.org</D:href></D:owner>', 1, 1795616403160654, 4102444800000000);
INSERT INTO lock (token, owner_id, resource_id, path, path_key, is_on_collection, scope, is_deep, owner_xml, user_id, created_at, expires_at) VALUES ('urn:uuid:f42c1d9b-298e-4662-a94a-752dce0490a2', 1, 12, '/readme.txt', '/readme.txt', false, 'shared', false, '<D:owner xmlns:D="DAV:"><D:href>mailto:ada@example.org</D:href></D:owner>', 1, 1795616403174502, 4102444800000000);
INSERT INTO property (owner_id, resource_id, namespace, name, xml) VALUES (1, 5, 'urn:example:colours', 'colour', '<Z:colour xml:lang="de" xmlns:Z="urn:example:colours">türkis &amp; rosa</Z:colour>');
INSERT INTO property (owner_id, resource_id, namespace, name, xml) VALUES (1, 5, '', 'plain', '<plain/>');
INSERT INTO property (owner_id, resource_id, namespace, name, xml) VALUES (1, 12, 'urn:example:notes', 'notes', '<N:notes xmlns:N="urn:example:notes"><N:note at="1"><N:b>bold</N:b> and not</N:note><N:note/></N:notes>');
INSERT INTO property (owner_id, resource_id, namespace, name, xml) VALUES (1, 30, 'urn:example:colours', 'colour', '<Z:colour xml:lang="de" xmlns:Z="urn:example:colours">türkis &amp; rosa</Z:colour>');
INSERT INTO recurring (kind, due_at, caused_at) VALUES ('purge_expired', 1795616702256934, NULL);
INSERT INTO recurring (kind, due_at, caused_at) VALUES ('expire_locks', 1795617002260451, NULL);
INSERT INTO recurring (kind, due_at, caused_at) VALUES ('abandon_uploads', 1795620002263598, NULL);
INSERT INTO recurring (kind, due_at, caused_at) VALUES ('sweep_blobs', 1795702802264711, NULL);
INSERT INTO recurring (kind, due_at, caused_at) VALUES ('scan_again', 1795616462274184, NULL);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (3, 1, NULL, '', '', NULL, 1795616400302070, 1795616400302070);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (3, 2, 1, '.trash', '.trash', NULL, 1795616400302070, 1795616400302070);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 6, 5, '2025', '2025', NULL, 1795616402513359, 1795616402521235);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 12, 1, 'readme.txt', 'readme.txt', 11, 1795616402543149, 1795616402543149);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 15, 1, 'empty.txt', 'empty.txt', 14, 1795616402583866, 1795616402583866);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 18, 4, 'Grüße 日本 & <co>.txt', 'Grüße 日本 & <co>.txt', 17, 1795616402604746, 1795616402604746);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 4, 3, '2026', '2026', NULL, 1795616402493309, 1795616402604746);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 21, 1, 'big.bin', 'big.bin', 20, 1795616402687002, 1795616402687002);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 24, 7, 'beach.jpg', 'beach.jpg', 23, 1795616402726224, 1795616402726224);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 7, 6, 'summer', 'summer', NULL, 1795616402521235, 1795616402726224);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 27, 9, 'small.txt', 'small.txt', 26, 1795616402745222, 1795616402745222);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 9, 8, 'deeper', 'deeper', NULL, 1795616402529373, 1795616402745222);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 30, 8, 'large.bin', 'large.bin', 29, 1795616402762872, 1795616402762872);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 36, 10, 'one.txt', 'one.txt', 35, 1795616402825385, 1795616402825385);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 43, 2, 'report.docx', 'report.docx', 38, 1795616402915863, 1795616402915863);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 39, 1, 'report.docx', 'report.docx', 44, 1795616402915863, 1795616403009996);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 46, 2, 'report (2).docx', 'report (2).docx', 41, 1795616402915863, 1795616402962471);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 47, 5, 'copy of beach.jpg', 'copy of beach.jpg', 23, 1795616403036448, 1795616402726224);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 5, 1, 'photos', 'photos', NULL, 1795616402505418, 1795616403036448);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 10, 3, 'moved', 'moved', NULL, 1795616402533761, 1795616402825385);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 3, 1, 'letters', 'letters', NULL, 1795616402467252, 1795616403046509);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 8, 2, 'old', 'old', NULL, 1795616402525555, 1795616402762872);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 33, 2, 'gone.txt', 'gone.txt', 32, 1795616402805372, 1795616402805372);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 2, 1, '.trash', '.trash', NULL, 1795616397082146, 1795616403134158);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (1, 1, NULL, '', '', NULL, 1795616397082146, 1795616403134158);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (2, 8, 3, 'large.bin', 'large.bin', 7, 1795616403488694, 1795616403488694);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (2, 3, 1, 'photos', 'photos', NULL, 1795616403405309, 1795616403488694);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (2, 5, 2, 'readme.txt', 'readme.txt', 4, 1795616403428897, 1795616403428897);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (2, 2, 1, '.trash', '.trash', NULL, 1795616398802720, 1795616403518990);
INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at) VALUES (2, 1, NULL, '', '', NULL, 1795616398802720, 1795616403518990);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 11, '1df8e344e76a07a2addc730827007d66', 300, '90c9b6cb57249478e0f872af', 'text/plain', '', 1795616402543149, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 14, '9febe243a4ed2aa32f4ccc0f0561b32f', 0, '680e24ed9a2da9967610962f', 'text/plain', '', 1795616402583866, 'empty', NULL, NULL, NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 17, '5ee59255ce2eb64f5f2dc24eed55cfc2', 700, '54bdaf319e1f7c03fc426b3a', 'text/plain', '', 1795616402604746, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 20, '7e9e61e722fc694e95c630374e31f0a9', 20000, '1d3b6b9d1b59d533c587236f', 'application/octet-stream', '', 1795616402687002, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 23, '83c1a0c77d47d965e919c46bc85274f1', 12289, 'e038ba008197abcf004a4222', 'image/jpeg', '', 1795616402726224, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 26, 'd01476ad25fb497bd6df6b466d8837fe', 100, '5f0fb978881a9c24b944351d', 'text/plain', '', 1795616402745222, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 29, '1239a7aa2509215ffea6446f8a08308f', 8192, '886a1af7d6fa3efe96391058', 'application/octet-stream', '', 1795616402762872, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 32, '7b393a18b3ac77334ccaddb05d396d9e', 50, 'b13a02ccaac63a57ad5b5191', 'text/plain', '', 1795616402805372, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 35, '7a81f75aa7de199e3d55efb303b62567', 10, 'd4db009da4c198afc1adea6b', 'text/plain', '', 1795616402825385, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 38, '9c64dfb77f0d5a1b62d132fba848b613', 2000, '663f5dc146f364f8a4e4186f', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', '', 1795616402915863, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 41, '691179840143f4d1ebb699829e46d013', 300, 'dad84aed955aa35a6b3d234a', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', '', 1795616402962471, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (1, 44, '0492a942f9b5c3a9108bbd7c43f13276', 3000, 'b7e4782a0e5f3de7fd0c493e', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', '', 1795616403009996, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (2, 4, '2bf585f3c895086cb52afe0c320471e6', 900, 'afdf33ef52643edc2ba760ee', 'text/plain', '', 1795616403428897, 'waiting', NULL, '', NULL);
INSERT INTO revision (owner_id, id, blob_id, size, etag, content_type, checksums, created_at, verdict, signature, signature_version, scanned_at) VALUES (2, 7, '5f13199f89887954a084bf1dc31d4d55', 9000, '7ccc32666513f0b2c96e9696', 'application/octet-stream', '', 1795616403488694, 'waiting', NULL, '', NULL);
INSERT INTO trash_entry (owner_id, resource_id, name, name_key, origin, replaced_id, discarded_at, purge_at) VALUES (1, 43, 'report.docx', 'report.docx', '/report.docx', 39, 1795616402962471, 2110976402962471);
INSERT INTO trash_entry (owner_id, resource_id, name, name_key, origin, replaced_id, discarded_at, purge_at) VALUES (1, 46, 'report.docx', 'report.docx', '/report.docx', 39, 1795616403009996, 2110976403009996);
INSERT INTO trash_entry (owner_id, resource_id, name, name_key, origin, replaced_id, discarded_at, purge_at) VALUES (1, 8, 'old', 'old', '/old', NULL, 1795616403112095, 2110976403112095);
INSERT INTO trash_entry (owner_id, resource_id, name, name_key, origin, replaced_id, discarded_at, purge_at) VALUES (1, 33, 'gone.txt', 'gone.txt', '/gone.txt', NULL, 1795616403134158, 2110976403134158);
INSERT INTO trash_entry (owner_id, resource_id, name, name_key, origin, replaced_id, discarded_at, purge_at) VALUES (2, 5, 'readme.txt', 'readme.txt', '/readme.txt', NULL, 1795616403518990, 2110976403518990);
INSERT INTO tree (owner_id, version, next_id, used_bytes) VALUES (3, 1, 3, 0);
INSERT INTO tree (owner_id, version, next_id, used_bytes) VALUES (2, 6, 10, 9900);
INSERT INTO tree (owner_id, version, next_id, used_bytes) VALUES (1, 36, 48, 59230);
INSERT INTO upload (blob_id, owner_id, reserved_bytes, started_at, expires_at) VALUES ('70609ca20377daaad9cfd2feb1625143', 1, 60000, 1795616403999523, 1795702803999523);
INSERT INTO users (id, name, name_key, email, password_hash, credential_version, is_admin, disabled_at, quota_bytes, trash_retention, hides_trash, created_at) VALUES (1, 'ada', 'ada', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$57xXyvlfy5nzXqv1PkcI4Q$380fzcSertR+/UMfxZLyYTfYEcdZL2Buu78quBJq384', 1, true, NULL, NULL, NULL, false, 1795616397082146);
INSERT INTO users (id, name, name_key, email, password_hash, credential_version, is_admin, disabled_at, quota_bytes, trash_retention, hides_trash, created_at) VALUES (2, 'bob', 'bob', NULL, '$argon2id$v=19$m=19456,t=2,p=1$AQCAECIkhLBWSmlNaS3l/A$uArZmxn++qcaXqZ3W9+bQyMChzhDHpI/K1ZddZ76Tls', 1, false, NULL, 104857600, NULL, false, 1795616398802720);
INSERT INTO users (id, name, name_key, email, password_hash, credential_version, is_admin, disabled_at, quota_bytes, trash_retention, hides_trash, created_at) VALUES (3, 'eve', 'eve', NULL, '$argon2id$v=19$m=19456,t=2,p=1$knJOaa1VCkFISSnFmPN+Lw$UbmdE2DPIOfC9eRAGdS43U6ft+lI4vsaVvVQ09fXBk8', 2, false, 1795616401347623, NULL, NULL, false, 1795616400302070);
SELECT pg_catalog.setval('job_id_seq', 13, true);
SELECT pg_catalog.setval('users_id_seq', 3, true);
ALTER TABLE ONLY alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY blob
    ADD CONSTRAINT pk_blob PRIMARY KEY (id);
ALTER TABLE ONLY job
    ADD CONSTRAINT pk_job PRIMARY KEY (id);
ALTER TABLE ONLY lock
    ADD CONSTRAINT pk_lock PRIMARY KEY (token);
ALTER TABLE ONLY property
    ADD CONSTRAINT pk_property PRIMARY KEY (owner_id, resource_id, namespace, name);
ALTER TABLE ONLY recurring
    ADD CONSTRAINT pk_recurring PRIMARY KEY (kind);
ALTER TABLE ONLY resource
    ADD CONSTRAINT pk_resource PRIMARY KEY (owner_id, id);
ALTER TABLE ONLY revision
    ADD CONSTRAINT pk_revision PRIMARY KEY (owner_id, id);
ALTER TABLE ONLY trash_entry
    ADD CONSTRAINT pk_trash_entry PRIMARY KEY (owner_id, resource_id);
ALTER TABLE ONLY tree
    ADD CONSTRAINT pk_tree PRIMARY KEY (owner_id);
ALTER TABLE ONLY upload
    ADD CONSTRAINT pk_upload PRIMARY KEY (blob_id);
ALTER TABLE ONLY users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
ALTER TABLE ONLY resource
    ADD CONSTRAINT uq_resource_owner_id_parent_id_name_key UNIQUE (owner_id, parent_id, name_key);
ALTER TABLE ONLY users
    ADD CONSTRAINT uq_users_name_key UNIQUE (name_key);
CREATE INDEX ix_blob_key_id ON blob USING btree (key_id);
CREATE INDEX ix_blob_owner_id ON blob USING btree (owner_id);
CREATE INDEX ix_job_kind ON job USING btree (kind);
CREATE INDEX ix_job_run_at ON job USING btree (run_at) WHERE (state <> 'failed'::text);
CREATE INDEX ix_lock_expires_at ON lock USING btree (expires_at);
CREATE INDEX ix_lock_owner_id_path_key ON lock USING btree (owner_id, path_key);
CREATE INDEX ix_resource_owner_id_revision_id ON resource USING btree (owner_id, revision_id);
CREATE INDEX ix_revision_blob_id ON revision USING btree (blob_id);
CREATE INDEX ix_revision_found ON revision USING btree (owner_id, id) WHERE (verdict = ANY (ARRAY['infected'::text, 'released'::text]));
CREATE INDEX ix_revision_signature_version_scanned_at ON revision USING btree (signature_version, scanned_at);
CREATE INDEX ix_trash_entry_owner_id_name_key ON trash_entry USING btree (owner_id, name_key);
CREATE INDEX ix_trash_entry_owner_id_replaced_id ON trash_entry USING btree (owner_id, replaced_id);
CREATE INDEX ix_trash_entry_purge_at ON trash_entry USING btree (purge_at);
CREATE INDEX ix_upload_expires_at ON upload USING btree (expires_at);
CREATE INDEX ix_upload_owner_id ON upload USING btree (owner_id);
ALTER TABLE ONLY blob
    ADD CONSTRAINT fk_blob_owner_id FOREIGN KEY (owner_id) REFERENCES users(id);
ALTER TABLE ONLY lock
    ADD CONSTRAINT fk_lock_owner_id_resource_id FOREIGN KEY (owner_id, resource_id) REFERENCES resource(owner_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY lock
    ADD CONSTRAINT fk_lock_user_id FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY property
    ADD CONSTRAINT fk_property_owner_id_resource_id FOREIGN KEY (owner_id, resource_id) REFERENCES resource(owner_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY resource
    ADD CONSTRAINT fk_resource_owner_id FOREIGN KEY (owner_id) REFERENCES tree(owner_id);
ALTER TABLE ONLY resource
    ADD CONSTRAINT fk_resource_owner_id_parent_id FOREIGN KEY (owner_id, parent_id) REFERENCES resource(owner_id, id);
ALTER TABLE ONLY resource
    ADD CONSTRAINT fk_resource_owner_id_revision_id FOREIGN KEY (owner_id, revision_id) REFERENCES revision(owner_id, id);
ALTER TABLE ONLY revision
    ADD CONSTRAINT fk_revision_blob_id FOREIGN KEY (blob_id) REFERENCES blob(id);
ALTER TABLE ONLY revision
    ADD CONSTRAINT fk_revision_owner_id FOREIGN KEY (owner_id) REFERENCES tree(owner_id);
ALTER TABLE ONLY trash_entry
    ADD CONSTRAINT fk_trash_entry_owner_id_resource_id FOREIGN KEY (owner_id, resource_id) REFERENCES resource(owner_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY tree
    ADD CONSTRAINT fk_tree_owner_id FOREIGN KEY (owner_id) REFERENCES users(id) ON DELETE CASCADE;
ALTER TABLE ONLY upload
    ADD CONSTRAINT fk_upload_owner_id FOREIGN KEY (owner_id) REFERENCES users(id);

BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" ("version_num") VALUES('0001');
CREATE TABLE blob (
	id VARCHAR(32) NOT NULL, 
	owner_id INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	sealed_size INTEGER NOT NULL, 
	segment_size INTEGER NOT NULL, 
	key_id TEXT NOT NULL, 
	wrapped_key BLOB NOT NULL, 
	header BLOB NOT NULL, 
	sealed BLOB, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT pk_blob PRIMARY KEY (id), 
	CONSTRAINT fk_blob_owner_id FOREIGN KEY(owner_id) REFERENCES users (id)
);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('4baca30e0ced34859dd44a1502ce50d3',1,300,356,4096,'first',X'52FADB23A5CF55F6BB55E5A033D9FDB98F47AA42DEE56DCFC728DEEA7F78B52D1AFD95700EF439021A7F51800F94A6F9A751EB4B70F64D5D488D6497',X'28C797C3AA9FE877E90F5209852181BD5290F2CD2A2BFFB406B4D86169F419D9FFEB34C51EA81DB3',X'28C797C3AA9FE877E90F5209852181BD5290F2CD2A2BFFB406B4D86169F419D9FFEB34C51EA81DB3CCD1D24A35294AFF553C6C8A2B7B7B109DF5691BCDC06E179DA60C683EE97B813DA8642E1D8F843ACE3F846A64F43D71BF91790FBB41028D71488421EC93CBF418C4700795CAAC83019A1CE6D6F95465913EAA168CDDBD5D7087258993F321DCE8C12C86581AADB4BA4B880E24A3B465C2465EB1973950A7C9A9E89E7C62DCAF8B07AFC00504D2BF7A336E85DA1069144286DC65D76BD34F10B8579D2A68EC5FCDBC82B38DD308DBC629E9970297FE4B022645BE038D348F4CDEF4A2BA3F73550E2F2A8E7BCA1D2281F1E68F0C9A72A00A13F42FD913941FF512B217CD7A3B12795679BD2B033B852357E153BD786742D91BFDA41A2D4860AE44E82673DAE3215B0A7FCA909A9741799AECF39B6559A3000586390E003EBF9F5D03CD5D1EDFC168D829C26AE6BC87324D15E1F572E6AC3EF30C4333A40CCB4DF2F4E5',1795616392454737);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('ae381c016eb6b9bce4b350872d807f5d',1,0,56,4096,'first',X'5CAE714E352751326B32C635CC7F84601DE90E33DF03AED1741D912A3FCD6FC66D487847BFDFA3AB41D4AE48E1A6CBE66E7373F9943861101CB4F01A',X'284FFEFFBA1A61AE339D6AA3CDA7DBFF39F7EC022E4B760EB6410024E0EB601B7632DD584CC0E7CD',X'284FFEFFBA1A61AE339D6AA3CDA7DBFF39F7EC022E4B760EB6410024E0EB601B7632DD584CC0E7CDDD1F9E80B779B25B84C8684681DEEBCE',1795616392476112);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('1a51606eb028181e580413a9674aa5ed',1,700,756,4096,'first',X'1B7DA2FE924E9E26426DC76FA0FD2A51F81D16BAA76F6C6B30518265D492FEFFFE4FB292451380AD271A988975E91ECAEEE4DADABB6165E6422AB7BE',X'284C038CE5C2615DB96DC0A31EDCA87517320FB3C8E129C96BD32047E0C784D8FD4AD2536DE38229',X'284C038CE5C2615DB96DC0A31EDCA87517320FB3C8E129C96BD32047E0C784D8FD4AD2536DE38229C3CAD35B07289E98471C2972D2911483E7D50676401DBC1122BEA06A65CCA8B2C1C65D7DA854E4578FD044152E19DF6E26267DD720F979F8BC564D17AB35C7078B7882B9876D6F0513DADF9E186648712C171264D588779AC392DE5F82DC3412789290C84059BAD2C4DF0DDECE6EA25891B6D864B785562BFA1A629B8F82071FBA254EF09F8AD47C86B11D04E5C9710C6A832767A725CB8A4F68AF3433A90493CE6AE4EEA129A39675532E92A2386A6D76DD5938F1FA96EF3D74E6B60EA235BF6ED38566FE955D2E1FF16AEAD2B45971F2848C5C9ECA968D9469183278DD8A7DFBEEDE10B0E3FC5DD971E73E9343936B69E144D62332C4C3408C36526D0D6B70774C46DE90AE719AA8FC7D98B622673A6BC7E5651834C5CA1D6F1FE7B1FECB1F92635CDA446F00B908D7061FF5C95F3E5F5BA975B9D40F3E57D54F6D565D91581F9E9797A37CBE0BA3007C2A095ECFB4150A2CA5BCE2544038A1AD1A12390E915AE984B278E8C745131C878369BA8063C61762B9CD25555B974CE4E40658CC980BE90237C69336A275798A5BA5F8835B9A647B9F029F7E58A5DD5B6192B764BEA2E82783C44A1999E2C256282EAFD39E69E63E8B562B6196E46D8F74C40DBA8A2118C21CBB957539EF8E1D47672441F0DB552C3807CB1AF0F6C338D2ED8720B39CA7A50137E3F5C33A5CE0CA2BD0BC5B871A5725860CEED6E8A07A392987EE82CF7F9D470C9AD60A2B96A3E570473BC97D3DFA13C1806E557CBF9667103BFDB37677FDA9A79BD36C71F238679EDD77D95F06FC07369B56E107DEF5C75BE7229B0D2273C1A08E5E3DA051A7459A66992B9A53FCAFDACC08222EA07A2AEF617C78020F874C73116E1C35A0B5E6C292AEAA06A40CE32020C257E84A24098F9D0B239EAA2453B0376755DBBB3B65AD1A48FBA585CC8BDBD2FB2BFB12A3D8A5319F9401D43626E1871527985B1BBD34AE9E8296AB36C341B08061EF208BBEFE7F9048DED504D3E8FB32EA7E14E155',1795616392479360);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('7a01a1caa9622fd1e4b1ba8464fc5903',1,20000,20120,4096,'first',X'2A4376AD8F7873B9E8102FBE224165A9A384DF619396BF736341546CEA8E955EB07FD1FFCF8FFF19BDC700F39733A17E685B6908FBCB0AB01A1D8DA7',X'2896BF77944E7E0216C1597F2502102CD9D3FCE7ADCA58DCE49EDA1CE08E0D72DDB0F08CF1763A12',NULL,1795616392511540);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('c937bab2bce5360a12f16a65aff2c4aa',1,12289,12393,4096,'first',X'6C6F1C85E7C2F3B32D48719A2FB3F306F9FB9C9784B547B4600BECE32F12FBF0CC7D8753EC26F71EAA1AA9AE363CEA007195B225450BC65281709E67',X'283D4A2014A4588757A1F18113884F7ED5C83B041E586295EBAFBF4E15C2384C888828FEE44FD9F9',NULL,1795616392539294);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('a522a860d029d34aeba701e1723da12e',1,100,156,4096,'first',X'CB5D23B0558A1DABC7E14327666B18A9969165EE29CA28138A3ED9ED04E2C9E89CBF8ED62DDC5F4642A6B652D671BD0CEFB083B4699210593906CBF3',X'28F95ECE7AB6946965C862176C0BC0641D0F99045F4923614A0207EBA267F3A3BDEF3B183F5DA101',X'28F95ECE7AB6946965C862176C0BC0641D0F99045F4923614A0207EBA267F3A3BDEF3B183F5DA101C315FA92C0CB3E481A5D3DAB34476B6E284433E7D3134EEFD5291F5BCA7F55A409A1183102EDC115536C8C8BC39086E43E8690DF2388DD49D49DF54F92C68FE39B0031A3A9D205DC15117EF8F8F6DD14A47B2F7FB033E8935E1B162A35F881B3EC13F47877EF120A9FC311AE71393DF1C14FD23D',1795616392553153);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('d5239d52cb6dc616fe9926ae5033c267',1,8192,8280,4096,'first',X'2868A20CAA0A8185D3B57180CCF06EFCF746088DAE3EAA75E18E2FB381A5F48BC6A647BA8168F04879EA9DB0D52D7D1D3454745909325D4F54AC327F',X'283546B410D1D7CD19368F3014E9BB7F96285F0EFCAE3F650025CD300CA25E70FCF82EA8EB9BFAB2',NULL,1795616392563764);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('348e796e2a81eb8226eb8f9b715fdb53',1,50,106,4096,'first',X'A2E16B6E6ED470A62325236401C62C14C50B451CAF5CE2FBB3A8EC4964307CF50BA85A724CCD055847E07A21FF683EE7CF081CAEE472D3FB8D3830FA',X'28C7BE437830F6B36BE9CD8445B1C64B0B6AB7F7F01E3A0E87072796FE55312D6C5A8B3EBE8AD810',X'28C7BE437830F6B36BE9CD8445B1C64B0B6AB7F7F01E3A0E87072796FE55312D6C5A8B3EBE8AD8102CA24AC11CF64C3FB1E77E8D12F1B474D08EF799F9903E12E76C75344C0C5CBB76A1088F052223B0A13A07B1C454C8396C27CFE552E0E1F38BFA8DF1462014D32D58',1795616392577931);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('8fed58834ae95a0cc80cab7831138bde',1,10,66,4096,'first',X'45975480057AE14490B7930FBD8922C549860B61B4C0EF24A3B736BB87F25CB53180A330F9D1665AF5E996D53C2E3892C5809310367D34E9729772A5',X'289BFF041A5675BF3E95F6652E14E227F4814917CAADAB946ECC7E067810BD1BFA4B0BD7513E52C6',X'289BFF041A5675BF3E95F6652E14E227F4814917CAADAB946ECC7E067810BD1BFA4B0BD7513E52C6556A78EB177B796C3EE0EC5A7DC42C109F3386CEDB6ED798493C',1795616392592030);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('3f7d3b286b40795f27d132821cadf42f',1,2000,2056,4096,'first',X'45548928C78A3782B84AEA5F0A13A809BA28B883C6E7D49E713F301304BB81943B8BAC480956467C9B0F5FDF92044F31719697CF45FB3A869E15A947',X'28E1408E8035E7857B072E17322D53FDD5AECC1BA2CEF5F5562E76AD6C00976CA03B0E74784A489B',NULL,1795616392604748);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('cb5521d1e62b3395791de44feabb1895',1,300,356,4096,'first',X'9A7CFC0C994ACCDFA108C19A4E317F6868F70EB6A3F565E276E4D7E9ED0612A93323A9E1BBC9B2F0E52443B1A4CF8DC7FA6A1D55394D1B4EFF60690F',X'285103BBFA9197C57383FEDB4B1564EF158D7C2CAB5421E6AAD0D72875F473CB9CFAF2D39E360910',X'285103BBFA9197C57383FEDB4B1564EF158D7C2CAB5421E6AAD0D72875F473CB9CFAF2D39E36091050B5B5E4B0EE09851DD98012227CEA0DECD6D453927B8D644DD9B9B1819150C0DD31A172EE8A56B68F3A2060DD7E82BBB70458CF49B7B702D5E8D26C0E6EA42C9E6353A19BFFC210F2EFA8150498EB1DAEC3569C321C5B8C065A2F3331CE353DCF45779EB458E53338CA4B91594D9113D8B465504C58B1B0AFAC968ECF5641F4D9ADED8475510AB83A2D3FE6AE329F0999AB3B236A4126E8CDBA449F898EF6E7664520E6FA8971994EE6FEC05D838C54701138799D18F62296FC76555114CBE39ED914136B76E41D0A5FBBE350B89C3B0781A0B28725DEA11BF9D69E69DADF0A3B0EA7AD3D434ABD3C0260D4D96475A03991A12E589DB5F0942D015BE3D9F5D3C8E6E5D5F538F1D1C3F3C80914C03253E33EF238F842AFEF8CF3B9D50D03FAA3EEF35EC3DC54F632BB431CE9821BD3ED91FFB05466FEDF1F76DAF5BF',1795616392617103);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('53fb4cb64b9a868ee440b970f8a59e1f',1,3000,3056,4096,'first',X'3C67A6B3F462CDA18ADD02EB8389B3E38B19D49256B2F411885BEC99F1D4C48F34399A233F0162465B01AD5FB4DFA20D762F72A7534ECE5AEBA5BB9B',X'2894D2551E0E576CF33924369252027FBB0E6F4D483053C802494E6FDB162DC99134FDFE3DD55C66',NULL,1795616392647965);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('24e9d459ba5f4a6e03c5b6e1f06713d3',2,900,956,4096,'first',X'41AEDFD46FEA50DA06B8632675118648EF62604A04E75DC3F6438BDFB845B243878C38CE5316C77D1C0D882415882E48834F77179589ECE05277E75D',X'28FB06CEA737D6405EBE3679EA7E03860E7D0444BBD3C481E4D9B07694310CF9C68B3E2E20BC1A82',X'28FB06CEA737D6405EBE3679EA7E03860E7D0444BBD3C481E4D9B07694310CF9C68B3E2E20BC1A82A1E18801C1D39EE522C089F2F6B1CA8A31BB19498E2C4C144849969E32BEC4E893667425041A3F28193F308A03AD1CBAF3C4F8DFFFCE0866BAFE3380848CFC8AC223B7567E839B227E2EC2E883C00C08FADD38671E839E58F4F97631989B3D7C6BC1C5613DEE909BC93CD6D2A57AB8EB996E411D6F6F4E15587F5274C57031425B73D2AA8DCAC1327385FB9DF5002ECE4F3D2EB7AA807B1B5DC5BD1FC9C4CE3DF368377D0788EEE6B5BBC2E33DDBF3F347E4193992ACFFC1375BF58B11B4AECF9747B8DEED77708BC3321AB12D870605100846FBEEB454414ED8899552FC817223329CD89FD4C30BA3131374A002339C1F4F8E840D31C4BE3D322DE56E7B71B27876C282BEFF766ABDBF56BF9A0C6E12B5987DFB904DBFF05E2DA96F48B84BD7FFF963039AC3DCEFFF6B865F0BC2F87AE167C8A18E4CE1C60CE3575CBAB1CEF978AD285AB42A699B454F3E44149780D2FAE0CADE95CC293B36ABEBD71B3D21253C2C709310277528C3DD0CC29F5B06CF6E50D933BD5DD17824AF2DE4470E513868A2F91665B777BE3A36931383FF775001A05814762B35D2B70DD24C5AF620D70EAD029FD8FAF36353944D0E9114A013C74D812C8C4E0CB27DC93B53963726F77AD9B472B67838C98C6D003A102E74F4617F52953751CC204F974A45217588B111C7557FF8C9A345C10A9A3E333C8EEF4BBE2E2D0F04DE9CEE8C4A4B66844310AD79AF2733BF8FA58EC3BFF0C3E35772A97170541869925EBEA13DCBFFD4595B079794AA76910964E555192E2573F9C2A1F53E1AB9F194FDE1C4CC61D1D0C18186BC868F261C41C9B8C461F935A7B5C8AAA276249B0F7857D9EA5E41CA70C652D4476BB992C6F1E71BA50A3B7D308E1D34462BF3A2F51A42D51555D75F75B3E29D2C99C12A6D4CD502BB788F3EC50925EADED1254F4E8DDFD94E0E7255922FAAADEFECB6E083475CABA9A2F89681FB8E566C9F24C848E725AE16F38F0A7F639A8D189C14F98AC23480CF67837FBAD5CA30233BAA865E1C1C2904A36E878087464982358D1AB8CF6C8E8E98531C10BA03CAB794FC64F2E498257C447B4AD4E3DDB0B2A1CE5D8891D72A87E7D106DF0EF41275AE7433907A18D2764B749627C6BC3F35AF63335954C1D3F1DFD15A485E8DCCACD9C83216A8B0B6F6DEABAB4D8D5589091BFA2C4D171FF184F57033EDF53B2FE036624BD84C52AF5EFC80C2A073C4BB2516AC905605F8882EDDB47C95DCEBC6D347ED68B52555614087555BBC7C07C4A2CE994AB59F7D74E343F36B08D58CF9F10668',1795616392857316);
INSERT INTO "blob" ("id", "owner_id", "size", "sealed_size", "segment_size", "key_id", "wrapped_key", "header", "sealed", "created_at") VALUES('5b1c1f9ca2fbd8050e69c84cf614e163',2,9000,9088,4096,'first',X'F4C9CB52BCBC8303ECA6AF9E67B0FF75166CA436761D76354B610A6F26E4445671E5DA1A8A9DA27ED61395333440E556A37595157B16FEFF50379AFD',X'28F5328386601E06E036759BEBA315656B0E378B4FE0940ADF03AD259F8323D488C25CB0C22D0E47',NULL,1795616392867025);
CREATE TABLE job (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	run_at INTEGER NOT NULL, 
	claim TEXT, 
	last_error TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT pk_job PRIMARY KEY (id), 
	CONSTRAINT ck_job_state CHECK (state in ('waiting', 'running', 'failed'))
);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(1,'scan','{"owner_id":1,"revision_id":11}','waiting',0,1795616400784665,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392454737);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(2,'scan','{"owner_id":1,"revision_id":17}','waiting',0,1795616404943125,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392479360);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(3,'scan','{"owner_id":1,"revision_id":20}','waiting',0,1795616401565236,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392511540);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(4,'scan','{"owner_id":1,"revision_id":23}','waiting',0,1795616402736278,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392539294);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(5,'scan','{"owner_id":1,"revision_id":26}','waiting',0,1795616403300974,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392553153);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(6,'scan','{"owner_id":1,"revision_id":29}','waiting',0,1795616402538237,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392563764);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(7,'scan','{"owner_id":1,"revision_id":32}','waiting',0,1795616401305844,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392577931);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(8,'scan','{"owner_id":1,"revision_id":35}','waiting',0,1795616404779001,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392592030);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(9,'scan','{"owner_id":1,"revision_id":38}','waiting',0,1795616400974124,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392604748);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(10,'scan','{"owner_id":1,"revision_id":41}','waiting',0,1795616400367834,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392617103);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(11,'scan','{"owner_id":1,"revision_id":44}','waiting',0,1795616401517994,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392647965);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(12,'scan','{"owner_id":2,"revision_id":4}','waiting',0,1795616405111540,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392857316);
INSERT INTO "job" ("id", "kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at") VALUES(13,'scan','{"owner_id":2,"revision_id":7}','waiting',0,1795616401229164,NULL,'ScannerUnavailable: clamd at 127.0.0.1 port 1 does not answer: [Errno 111] Connection refused',1795616392867025);
CREATE TABLE lock (
	token TEXT NOT NULL, 
	owner_id INTEGER NOT NULL, 
	resource_id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	path_key TEXT NOT NULL, 
	is_on_collection BOOLEAN NOT NULL, 
	scope TEXT NOT NULL, 
	is_deep BOOLEAN NOT NULL, 
	owner_xml TEXT NOT NULL, 
	user_id INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT pk_lock PRIMARY KEY (token), 
	CONSTRAINT ck_lock_scope CHECK (scope in ('exclusive', 'shared')), 
	CONSTRAINT fk_lock_owner_id_resource_id FOREIGN KEY(owner_id, resource_id) REFERENCES resource (owner_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_lock_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "lock" ("token", "owner_id", "resource_id", "path", "path_key", "is_on_collection", "scope", "is_deep", "owner_xml", "user_id", "created_at", "expires_at") VALUES('urn:uuid:a0f2fe62-45b6-4aac-abb9-c617473196c9',1,3,'/letters','/letters',1,'exclusive',1,'<D:owner xmlns:D="DAV:"><D:href>mailto:ada@example.org</D:href></D:owner>',1,1795616392716515,4102444800000000);
INSERT INTO "lock" ("token", "owner_id", "resource_id", "path", "path_key", "is_on_collection", "scope", "is_deep", "owner_xml", "user_id", "created_at", "expires_at") VALUES('urn:uuid:d14bfa58-9abb-4363-912b-c2e38355ef84',1,12,'/readme.txt','/readme.txt',0,'shared',0,'<D:owner xmlns:D="DAV:"><D:href>mailto:ada@example.org</D:href></D:owner>',1,1795616392719827,4102444800000000);
CREATE TABLE property (
	owner_id INTEGER NOT NULL, 
	resource_id INTEGER NOT NULL, 
	namespace TEXT NOT NULL, 
	name TEXT NOT NULL, 
	xml TEXT NOT NULL, 
	CONSTRAINT pk_property PRIMARY KEY (owner_id, resource_id, namespace, name), 
	CONSTRAINT fk_property_owner_id_resource_id FOREIGN KEY(owner_id, resource_id) REFERENCES resource (owner_id, id) ON DELETE CASCADE
);
INSERT INTO "property" ("owner_id", "resource_id", "namespace", "name", "xml") VALUES(1,5,'urn:example:colours','colour','<Z:colour xml:lang="de" xmlns:Z="urn:example:colours">türkis &amp; rosa</Z:colour>');
INSERT INTO "property" ("owner_id", "resource_id", "namespace", "name", "xml") VALUES(1,5,'','plain','<plain/>');
INSERT INTO "property" ("owner_id", "resource_id", "namespace", "name", "xml") VALUES(1,12,'urn:example:notes','notes','<N:notes xmlns:N="urn:example:notes"><N:note at="1"><N:b>bold</N:b> and not</N:note><N:note/></N:notes>');
INSERT INTO "property" ("owner_id", "resource_id", "namespace", "name", "xml") VALUES(1,30,'urn:example:colours','colour','<Z:colour xml:lang="de" xmlns:Z="urn:example:colours">türkis &amp; rosa</Z:colour>');
CREATE TABLE recurring (
	kind TEXT NOT NULL, 
	due_at INTEGER NOT NULL, 
	caused_at INTEGER, 
	CONSTRAINT pk_recurring PRIMARY KEY (kind)
);
INSERT INTO "recurring" ("kind", "due_at", "caused_at") VALUES('purge_expired',1795616692005686,NULL);
INSERT INTO "recurring" ("kind", "due_at", "caused_at") VALUES('expire_locks',1795616992033283,NULL);
INSERT INTO "recurring" ("kind", "due_at", "caused_at") VALUES('abandon_uploads',1795619992039133,NULL);
INSERT INTO "recurring" ("kind", "due_at", "caused_at") VALUES('sweep_blobs',1795702792051153,NULL);
INSERT INTO "recurring" ("kind", "due_at", "caused_at") VALUES('scan_again',1795616452055098,NULL);
CREATE TABLE resource (
	owner_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	parent_id INTEGER, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	revision_id INTEGER, 
	created_at INTEGER NOT NULL, 
	modified_at INTEGER NOT NULL, 
	CONSTRAINT pk_resource PRIMARY KEY (owner_id, id), 
	CONSTRAINT ck_resource_not_in_itself CHECK (id <> parent_id), 
	CONSTRAINT fk_resource_owner_id_parent_id FOREIGN KEY(owner_id, parent_id) REFERENCES resource (owner_id, id), 
	CONSTRAINT fk_resource_owner_id_revision_id FOREIGN KEY(owner_id, revision_id) REFERENCES revision (owner_id, id), 
	CONSTRAINT fk_resource_owner_id FOREIGN KEY(owner_id) REFERENCES tree (owner_id), 
	CONSTRAINT uq_resource_owner_id_parent_id_name_key UNIQUE (owner_id, parent_id, name_key)
);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,1,NULL,'','',NULL,1795616386399056,1795616392712822);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,2,1,'.trash','.trash',NULL,1795616386399056,1795616392712822);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(2,1,NULL,'','',NULL,1795616387719890,1795616392875304);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(2,2,1,'.trash','.trash',NULL,1795616387719890,1795616392875304);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(3,1,NULL,'','',NULL,1795616389448327,1795616389448327);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(3,2,1,'.trash','.trash',NULL,1795616389448327,1795616389448327);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,3,1,'letters','letters',NULL,1795616392390071,1795616392686951);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,4,3,'2026','2026',NULL,1795616392409856,1795616392479360);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,5,1,'photos','photos',NULL,1795616392421088,1795616392676124);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,6,5,'2025','2025',NULL,1795616392424999,1795616392430702);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,7,6,'summer','summer',NULL,1795616392430702,1795616392539294);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,8,2,'old','old',NULL,1795616392435123,1795616392563764);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,9,8,'deeper','deeper',NULL,1795616392443759,1795616392553153);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,10,3,'moved','moved',NULL,1795616392449297,1795616392592030);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,12,1,'readme.txt','readme.txt',11,1795616392454737,1795616392454737);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,15,1,'empty.txt','empty.txt',14,1795616392476112,1795616392476112);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,18,4,'Grüße 日本 & <co>.txt','Grüße 日本 & <co>.txt',17,1795616392479360,1795616392479360);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,21,1,'big.bin','big.bin',20,1795616392511540,1795616392511540);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,24,7,'beach.jpg','beach.jpg',23,1795616392539294,1795616392539294);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,27,9,'small.txt','small.txt',26,1795616392553153,1795616392553153);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,30,8,'large.bin','large.bin',29,1795616392563764,1795616392563764);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,33,2,'gone.txt','gone.txt',32,1795616392577931,1795616392577931);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,36,10,'one.txt','one.txt',35,1795616392592030,1795616392592030);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,39,1,'report.docx','report.docx',44,1795616392604748,1795616392647965);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,43,2,'report.docx','report.docx',38,1795616392604748,1795616392604748);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,46,2,'report (2).docx','report (2).docx',41,1795616392604748,1795616392617103);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(1,47,5,'copy of beach.jpg','copy of beach.jpg',23,1795616392676124,1795616392539294);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(2,3,1,'photos','photos',NULL,1795616392847901,1795616392867025);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(2,5,2,'readme.txt','readme.txt',4,1795616392857316,1795616392857316);
INSERT INTO "resource" ("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at") VALUES(2,8,3,'large.bin','large.bin',7,1795616392867025,1795616392867025);
CREATE TABLE revision (
	owner_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	blob_id VARCHAR(32) NOT NULL, 
	size INTEGER NOT NULL, 
	etag TEXT NOT NULL, 
	content_type TEXT NOT NULL, 
	checksums TEXT NOT NULL, 
	created_at INTEGER NOT NULL, 
	verdict TEXT NOT NULL, 
	signature TEXT, 
	signature_version TEXT, 
	scanned_at INTEGER, 
	CONSTRAINT pk_revision PRIMARY KEY (owner_id, id), 
	CONSTRAINT ck_revision_verdict CHECK (verdict in ('clean', 'infected', 'released', 'waiting', 'too_large', 'failed', 'no_scanner', 'empty')), 
	CONSTRAINT fk_revision_blob_id FOREIGN KEY(blob_id) REFERENCES blob (id), 
	CONSTRAINT fk_revision_owner_id FOREIGN KEY(owner_id) REFERENCES tree (owner_id)
);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,11,'4baca30e0ced34859dd44a1502ce50d3',300,'d55d4eb431070b3a537f0a46','text/plain','',1795616392454737,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,14,'ae381c016eb6b9bce4b350872d807f5d',0,'0b2f0a5aaf4974ab7a764a70','text/plain','',1795616392476112,'empty',NULL,NULL,NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,17,'1a51606eb028181e580413a9674aa5ed',700,'b68dc9eff2ffefaebb826230','text/plain','',1795616392479360,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,20,'7a01a1caa9622fd1e4b1ba8464fc5903',20000,'0175002964b7d2b259b1edaa','application/octet-stream','',1795616392511540,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,23,'c937bab2bce5360a12f16a65aff2c4aa',12289,'d49f7656a42a5aac1a190645','image/jpeg','',1795616392539294,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,26,'a522a860d029d34aeba701e1723da12e',100,'cdeada2335bfe18d1dbb0dfd','text/plain','',1795616392553153,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,29,'d5239d52cb6dc616fe9926ae5033c267',8192,'e8e5b2db68ad326e0d88185b','application/octet-stream','',1795616392563764,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,32,'348e796e2a81eb8226eb8f9b715fdb53',50,'ab3bd38f89963b96fd28fa4f','text/plain','',1795616392577931,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,35,'8fed58834ae95a0cc80cab7831138bde',10,'7093451967140263a2f6c5ba','text/plain','',1795616392592030,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,38,'3f7d3b286b40795f27d132821cadf42f',2000,'569922a43595ddf94cf4e9c9','application/vnd.openxmlformats-officedocument.wordprocessingml.document','',1795616392604748,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,41,'cb5521d1e62b3395791de44feabb1895',300,'d883eedbbab124aabb660f76','application/vnd.openxmlformats-officedocument.wordprocessingml.document','',1795616392617103,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(1,44,'53fb4cb64b9a868ee440b970f8a59e1f',3000,'bf9f52189e7803cb273b5af1','application/vnd.openxmlformats-officedocument.wordprocessingml.document','',1795616392647965,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(2,4,'24e9d459ba5f4a6e03c5b6e1f06713d3',900,'6d949e3f2c554cae56dfbcd8','text/plain','',1795616392857316,'waiting',NULL,'',NULL);
INSERT INTO "revision" ("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at", "verdict", "signature", "signature_version", "scanned_at") VALUES(2,7,'5b1c1f9ca2fbd8050e69c84cf614e163',9000,'f4c93c2ae6cd18df7b1fd354','application/octet-stream','',1795616392867025,'waiting',NULL,'',NULL);
CREATE TABLE trash_entry (
	owner_id INTEGER NOT NULL, 
	resource_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	replaced_id INTEGER, 
	discarded_at INTEGER NOT NULL, 
	purge_at INTEGER NOT NULL, 
	CONSTRAINT pk_trash_entry PRIMARY KEY (owner_id, resource_id), 
	CONSTRAINT fk_trash_entry_owner_id_resource_id FOREIGN KEY(owner_id, resource_id) REFERENCES resource (owner_id, id) ON DELETE CASCADE
);
INSERT INTO "trash_entry" ("owner_id", "resource_id", "name", "name_key", "origin", "replaced_id", "discarded_at", "purge_at") VALUES(1,43,'report.docx','report.docx','/report.docx',39,1795616392617103,2110976392617103);
INSERT INTO "trash_entry" ("owner_id", "resource_id", "name", "name_key", "origin", "replaced_id", "discarded_at", "purge_at") VALUES(1,46,'report.docx','report.docx','/report.docx',39,1795616392647965,2110976392647965);
INSERT INTO "trash_entry" ("owner_id", "resource_id", "name", "name_key", "origin", "replaced_id", "discarded_at", "purge_at") VALUES(1,8,'old','old','/old',NULL,1795616392708902,2110976392708902);
INSERT INTO "trash_entry" ("owner_id", "resource_id", "name", "name_key", "origin", "replaced_id", "discarded_at", "purge_at") VALUES(1,33,'gone.txt','gone.txt','/gone.txt',NULL,1795616392712822,2110976392712822);
INSERT INTO "trash_entry" ("owner_id", "resource_id", "name", "name_key", "origin", "replaced_id", "discarded_at", "purge_at") VALUES(2,5,'readme.txt','readme.txt','/readme.txt',NULL,1795616392875304,2110976392875304);
CREATE TABLE tree (
	owner_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	next_id INTEGER NOT NULL, 
	used_bytes INTEGER NOT NULL, 
	CONSTRAINT pk_tree PRIMARY KEY (owner_id), 
	CONSTRAINT ck_tree_used_bytes CHECK (used_bytes >= 0), 
	CONSTRAINT fk_tree_owner_id FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "tree" ("owner_id", "version", "next_id", "used_bytes") VALUES(1,36,48,59230);
INSERT INTO "tree" ("owner_id", "version", "next_id", "used_bytes") VALUES(2,6,10,9900);
INSERT INTO "tree" ("owner_id", "version", "next_id", "used_bytes") VALUES(3,1,3,0);
CREATE TABLE upload (
	blob_id VARCHAR(32) NOT NULL, 
	owner_id INTEGER NOT NULL, 
	reserved_bytes INTEGER NOT NULL, 
	started_at INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT pk_upload PRIMARY KEY (blob_id), 
	CONSTRAINT fk_upload_owner_id FOREIGN KEY(owner_id) REFERENCES users (id)
);
INSERT INTO "upload" ("blob_id", "owner_id", "reserved_bytes", "started_at", "expires_at") VALUES('bbd3e0ce190babf1fbbc78815da4f5d2',1,60000,1795616393093897,1795702793093897);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	name_key TEXT NOT NULL, 
	email TEXT, 
	password_hash TEXT NOT NULL, 
	credential_version INTEGER NOT NULL, 
	is_admin BOOLEAN NOT NULL, 
	disabled_at INTEGER, 
	quota_bytes INTEGER, 
	trash_retention INTEGER, 
	hides_trash BOOLEAN NOT NULL, 
	created_at INTEGER NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_name_key UNIQUE (name_key)
);
INSERT INTO "users" ("id", "name", "name_key", "email", "password_hash", "credential_version", "is_admin", "disabled_at", "quota_bytes", "trash_retention", "hides_trash", "created_at") VALUES(1,'ada','ada','ada@example.org','$argon2id$v=19$m=19456,t=2,p=1$2hvj3JvznnOOMYZQKuXcuw$zX+R0YkiVmh4hiZLej+S+z6lk82WTfnnkSyQF3Jn5f0',1,1,NULL,NULL,NULL,0,1795616386399056);
INSERT INTO "users" ("id", "name", "name_key", "email", "password_hash", "credential_version", "is_admin", "disabled_at", "quota_bytes", "trash_retention", "hides_trash", "created_at") VALUES(2,'bob','bob',NULL,'$argon2id$v=19$m=19456,t=2,p=1$ixHC+N9bq/Xee88ZQwjB+A$0U8mQkiwy+cZkRqPJH4nWVHbkZxFTDiPWj/hbEOEBxI',1,0,NULL,104857600,NULL,0,1795616387719890);
INSERT INTO "users" ("id", "name", "name_key", "email", "password_hash", "credential_version", "is_admin", "disabled_at", "quota_bytes", "trash_retention", "hides_trash", "created_at") VALUES(3,'eve','eve',NULL,'$argon2id$v=19$m=19456,t=2,p=1$TWktZcwZA6CUco7xfo8xRg$sqJqLFTAa46Rd9H9vXNLQxl1ZG4x9EAwPCIJHJ9k+vA',2,0,1795616390348174,NULL,NULL,0,1795616389448327);
CREATE INDEX ix_job_kind ON job (kind);
CREATE INDEX ix_job_run_at ON job (run_at) WHERE state <> 'failed';
CREATE INDEX ix_blob_key_id ON blob (key_id);
CREATE INDEX ix_blob_owner_id ON blob (owner_id);
CREATE INDEX ix_upload_expires_at ON upload (expires_at);
CREATE INDEX ix_upload_owner_id ON upload (owner_id);
CREATE INDEX ix_revision_blob_id ON revision (blob_id);
CREATE INDEX ix_revision_found ON revision (owner_id, id) WHERE verdict in ('infected', 'released');
CREATE INDEX ix_revision_signature_version_scanned_at ON revision (signature_version, scanned_at);
CREATE INDEX ix_resource_owner_id_revision_id ON resource (owner_id, revision_id);
CREATE INDEX ix_lock_expires_at ON lock (expires_at);
CREATE INDEX ix_lock_owner_id_path_key ON lock (owner_id, path_key);
CREATE INDEX ix_trash_entry_owner_id_name_key ON trash_entry (owner_id, name_key);
CREATE INDEX ix_trash_entry_owner_id_replaced_id ON trash_entry (owner_id, replaced_id);
CREATE INDEX ix_trash_entry_purge_at ON trash_entry (purge_at);
COMMIT;
